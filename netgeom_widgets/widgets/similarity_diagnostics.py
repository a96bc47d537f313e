"""Mixin of the similarity matrix: the folds that compare and diagnose, and what they are all about."""

from __future__ import annotations

import threading
from typing import Any

import traitlets

from netgeom_widgets.widgets.similarity_against import Compared
from netgeom_widgets.widgets.similarity_compare import AgreementPanel
from netgeom_widgets.widgets.similarity_denoising import DenoisingPanel
from netgeom_widgets.widgets.similarity_fit import FitPanel
from netgeom_widgets.widgets.similarity_invariance import InvariancePanel
from netgeom_widgets.widgets.similarity_layers import LayersPanel
from netgeom_widgets.widgets.similarity_noise import NoisePanel
from netgeom_widgets.widgets.similarity_over_steps import StepsPanel
from netgeom_widgets.widgets.similarity_picture import COMPUTED, Picture, PictureMaker
from netgeom_widgets.widgets.similarity_source import Source
from netgeom_widgets.widgets.similarity_subject import Subject


class Diagnostics(
    DenoisingPanel, InvariancePanel, LayersPanel, StepsPanel, AgreementPanel, NoisePanel, FitPanel, traitlets.HasTraits
):
    """Fit error, label noise, agreement, training, layers, invariance and denoising: all of the matrix shown."""

    _source: Source
    _maker: PictureMaker
    _picture: Picture | None = None
    _subject_known: Subject | None = None

    def _setup_diagnostics(self) -> None:
        """Called before ``super().__init__``."""
        self._subject_lock = threading.Lock()  # asked for by the threads of runs, of parts, and of the user
        self._setup_transforms()
        self._setup_fit()

    def _subject(self) -> Subject | None:
        picture = self._picture
        if picture is None or picture.model is None:  # a stored matrix has no network
            return None
        this, other = (picture.this, picture.other) if isinstance(picture, Compared) else (picture, None)
        against = None if other is None else other.found
        with self._subject_lock:
            known = self._subject_known
            if known is None or known.similarity is not picture.found or known.against is not against:
                self._subject_known = known = self._subject_of(picture, None if this is None else this.found, against)
            return known

    def _subject_of(self, picture: Picture, this: Any, against: Any) -> Subject:
        names = picture.names if isinstance(picture, Compared) else ("", "")
        first = picture.this if isinstance(picture, Compared) and picture.this is not None else picture
        step = picture.computed_with["step"]
        shown = names[1] if picture.found is against else names[0]
        return Subject(
            similarity=picture.found,
            model=picture.model,
            samples=self._source.samples,
            options=self._maker.options(picture.model, picture.computed_with),
            loss=self._source.loss_used,
            name=shown or ("" if step is None else f"step {step:,}"),
            step=first.settings["step"],
            key=tuple(first.settings[name] for name in COMPUTED),
            this=this,
            this_options=self._maker.options(first.model, first.settings),
            this_name=names[0],
            against=against,
            against_name=names[1],
        )
