"""What a preset and a captioning vocabulary consist of, strictly: an unknown or mistyped field is an error."""

import re
from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from lorabot.locale import UserError

Family = Literal["demo", "sd15", "sd21", "sdxl"]
Layers = Literal["attention", "linear", "all"]
SavePrecision = Literal["fp16", "bf16", "fp32"]
OptimiserName = Literal["adamw", "adamw8bit", "prodigy", "schedule-free"]
TimestepBias = Literal["none", "content", "style"]
ScheduleName = Literal["constant", "linear", "cosine", "restarts"]

Id = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^\S(.*\S)?$")]
"""A text of one line without blanks around it."""
Choices = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^\S(.*\S)?$")]
"""One line that holds choices between braces, ``a {red|blue} {cat|dog}``."""


class NoRecipe(UserError):
    """The preset has nothing for this family of base models."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Bilingual(_Strict):
    """One text in both languages."""

    en: Line = Field(description="The text in English.")
    zh: Line = Field(description="The text in Simplified Chinese.")

    def get(self, language: str) -> str:
        """The text in ``language``, a name of the catalogues (``en``, ``zh-CN``)."""
        return self.zh if language.lower().startswith("zh") else self.en


class Send(_Strict):
    """What a person should send for this preset."""

    min_images: int = Field(ge=1, le=1000, description="Fewer images than this are refused.")
    max_images: int = Field(ge=1, le=5000, description="More images than this are refused.")
    best: int = Field(ge=1, le=5000, description="The number of images that we advise.")
    kind: Bilingual = Field(description="Which pictures do well, in one sentence.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_images <= self.best <= self.max_images:
            raise ValueError("must hold min_images <= best <= max_images")
        return self


class Caption(_Strict):
    """How the images get the words they are trained with; the trigger word always comes first."""

    method: Literal["zero-shot", "none"] = Field(
        description="`zero-shot`: CLIP picks labels of the vocabulary; `none`: the trigger word alone."
    )
    vocabulary: Id | None = Field(None, description="Id of the vocabulary that zero-shot labels come from.")

    @model_validator(mode="after")
    def _labels_come_from_somewhere(self) -> Self:
        if self.method == "zero-shot" and self.vocabulary is None:
            raise ValueError("zero-shot needs a vocabulary")
        if self.method == "none" and self.vocabulary is not None:
            raise ValueError("the method none uses no vocabulary; leave it out")
        return self


class Preserve(_Strict):
    """What the base draws by itself and shall go on drawing: pictures that it makes at the start, to be held on to."""

    prompts: tuple[Choices, ...] = Field(
        strict=False,  # YAML and JSON know lists only
        min_length=1,
        max_length=50,
        description="What the pictures show, in turn. Of `{a|b|c}` one is taken by chance; `{caption}` is an image's "
        "caption without the trigger word.",
    )
    pictures: int = Field(ge=1, le=256, description="How many pictures the base draws at the start.")
    steps: int = Field(ge=1, le=100, description="Denoising steps of such a picture; each is a state to hold on to.")
    rows: int = Field(ge=1, le=64, description="How many of those states are learnt in each step, beside the images.")
    weight: float = Field(gt=0, le=1000, description="Weight of their loss; 1 counts a state as much as an image.")

    @field_validator("prompts")
    @classmethod
    def _choices_are_closed(cls, prompts: tuple[str, ...]) -> tuple[str, ...]:
        for prompt in prompts:
            rest = re.sub(r"\{[^{}]*\|[^{}]*\}|\{caption\}", "", prompt)
            if "{" in rest or "}" in rest:
                raise ValueError(f"braces hold a choice such as {{a|b}} or the word caption: {prompt!r}")
        return prompts


class Recipe(_Strict):
    """How to train on one family of base models."""

    resolution: int = Field(
        ge=64, le=2048, multiple_of=64, description="Side in pixels of the square whose area an image is scaled to."
    )
    views: int = Field(ge=1, le=100_000, description="Budget in image-views; a view is one image seen once.")
    batch: int = Field(ge=1, le=64, description="Images per optimiser step, after gradient accumulation.")
    optimiser: OptimiserName = Field(
        "adamw",
        description="`adamw`; `adamw8bit`, which keeps its moments in 8 bits on a card with bitsandbytes; `prodigy`, "
        "which finds the rate itself (arXiv 2306.06101), so that `unet_lr` is a factor of it, best 1; or "
        "`schedule-free` AdamW, which averages instead of lowering the rate (arXiv 2405.15682).",
    )
    unet_lr: float = Field(gt=0, le=2, description="Peak learning rate of the UNet's LoRA, at most 0.01.")
    text_encoder_lr: float = Field(
        ge=0, le=2, description="Peak learning rate of the text encoder's LoRA; 0 leaves it as it is."
    )
    schedule: ScheduleName = Field(
        "cosine",
        description="How the rate goes on after its rise: `constant`; `linear` or in half a `cosine` to 0; or "
        "`restarts`, several of those.",
    )
    restarts: int = Field(3, ge=2, le=20, description="How often the rate falls with the schedule `restarts`.")
    lora_plus: float = Field(
        1.0,
        ge=1,
        le=64,
        description="How much faster the LoRA's up matrices learn (LoRA+, arXiv 2402.12354; its authors say 16).",
    )
    layers: Layers = Field(
        "attention",
        description="Layers that get a LoRA: those of the `attention`; every `linear` layer of the transformers, the "
        "feed-forward ones too; or `all`, the convolutions among them.",
    )
    rank: int = Field(ge=1, le=128, description="Rank of the LoRA matrices.")
    alpha: float = Field(gt=0, le=256, description="LoRA alpha; the update is scaled by alpha / rank.")
    rank_stabilised: bool = Field(
        False,
        description="Whether the update is scaled by alpha / the square root of rank instead, so that high ranks learn "
        "as fast as low ones (arXiv 2312.03732).",
    )
    dora: bool = Field(
        False,
        description="Whether the length of each output's weights is learnt apart from their direction (DoRA, arXiv "
        "2402.09353); slower.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="Share of a LoRA's inputs that are left out at random in training, against memorising; slower on a "
        "CPU.",
    )
    warmup: float = Field(ge=0, le=0.5, description="Share of the steps over which the rate rises from 0.")
    min_snr_gamma: float | None = Field(
        gt=0, le=20, description="Cap of the min-SNR loss weight (arXiv 2303.09556); null weighs all timesteps alike."
    )
    p2_gamma: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Exponent of the P2 loss weight (arXiv 2204.00227): above 0 the shapes and colours of the whole "
        "picture count for more than its details.",
    )
    loss: Literal["l2", "huber"] = Field(
        "l2",
        description="`l2`: the squared error; `huber`: the same for small errors and a line for large ones, so that "
        "odd pictures count for less (arXiv 2403.16728).",
    )
    huber_delta: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Where `huber` turns from square to line at the noisiest timestep; 1 at the least noisy.",
    )
    timestep_bias: TimestepBias = Field(
        "none",
        description="Which timesteps are trained on more often: the noisy ones, which settle the `content` of a "
        "picture, or the others, which settle its `style`.",
    )
    zero_terminal_snr: bool = Field(
        False,
        description="Whether the noisiest timestep is noise alone, for pictures that are very dark or very bright "
        "(arXiv 2305.08891). Only for bases that predict v; `min_snr_gamma` gives that timestep no weight.",
    )
    noise_offset: float = Field(ge=0, le=0.2, description="Strength of the per-channel offset added to the noise.")
    flip: bool = Field(description="Whether every image is also shown mirrored.")
    save_precision: SavePrecision = Field(
        "fp16",
        description="Numbers in the LoRA file: `fp16` is read everywhere; `bf16` is as small, coarser and of wider "
        "range; `fp32` is exact and twice as large. The last samples are drawn with the numbers of the file.",
    )
    crops: int = Field(
        1,
        ge=1,
        le=16,
        description="Crops of every image: the first shows all its bucket can hold, the others come up to 1.2 times "
        "closer. All are cached.",
    )
    checkpointing: bool = Field(
        False,
        description="Whether activations are computed again for the backward pass instead of being kept: less memory, "
        "about a third more time.",
    )
    clip_skip: int | None = Field(
        None,
        ge=1,
        le=4,
        description="Which layer of the text encoder is listened to, counted from its end as people do: 1 is the last; "
        "null: as the base model was trained.",
    )
    caption: Caption = Field(description="How the images get their captions.")
    shuffle_captions: int = Field(
        0,
        ge=0,
        le=32,
        description="In how many orders a caption's tags are shown, the trigger word always first; 0: as they stand.",
    )
    caption_dropout: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of views without caption, which keeps guidance working (arXiv 2207.12598); 0 where "
        "`preserve` holds what is drawn without a prompt.",
    )
    preserve: Preserve | None = Field(
        None,
        description="Prior preservation: what of the base is held on to while it learns; null lets go of everything.",
    )
    sample_prompts: tuple[Line, ...] = Field(
        strict=False,  # YAML and JSON know lists only
        min_length=1,
        max_length=8,
        description="Prompts of the sample pictures; `{trigger}` is the trigger word, one without shows what is kept.",
    )
    negative_prompt: str = Field(max_length=500, description="What the sample pictures should not show; may be empty.")
    guidance: float = Field(ge=1, le=20, description="Classifier-free guidance scale of the sample pictures.")
    sample_steps: int = Field(ge=1, le=150, description="Denoising steps of a sample picture.")

    @model_validator(mode="after")
    def _rates_fit_the_optimiser(self) -> Self:
        if self.optimiser == "prodigy" and self.text_encoder_lr not in (0, self.unet_lr):
            raise ValueError("prodigy finds one rate for all; text_encoder_lr must be 0 or the same as unet_lr")
        if self.optimiser == "schedule-free" and self.schedule != "constant":
            raise ValueError("schedule-free takes the place of a schedule; set schedule: constant")
        if self.optimiser in ("prodigy", "schedule-free") and self.lora_plus != 1:
            raise ValueError(f"lora_plus contradicts {self.optimiser}, which balances the rates itself; leave it out")
        return self

    @field_validator("unet_lr", "text_encoder_lr")
    @classmethod
    def _is_a_rate_of_the_optimiser(cls, rate: float, info: ValidationInfo) -> float:
        optimiser = info.data.get("optimiser", "adamw")
        if optimiser == "prodigy":
            if info.field_name == "unet_lr" and rate < 0.1:
                raise ValueError("prodigy finds the rate itself; this is a factor of it and must be 0.1 to 2, best 1")
        elif rate > 0.01:
            raise ValueError(f"must be less than or equal to 0.01 with {optimiser}")
        return rate

    @field_validator("sample_prompts")
    @classmethod
    def _one_has_the_trigger(cls, prompts: tuple[str, ...]) -> tuple[str, ...]:
        for prompt in prompts:
            rest = prompt.replace("{trigger}", "")
            if "{" in rest or "}" in rest:
                raise ValueError(f"only {{trigger}} may stand in braces: {prompt!r}")
        if not any("{trigger}" in prompt for prompt in prompts):
            raise ValueError("at least one prompt must hold {trigger}")
        return prompts


class Preset(_Strict):
    """A named recipe a person can ask for."""

    id: Id = Field(description="The name that people type: lower-case letters, digits and hyphens.")
    title: Bilingual = Field(description="The name that people read.")
    description: Bilingual = Field(description="What it is good for, in one or two sentences.")
    send: Send = Field(description="What to send.")
    recipes: dict[Family, Recipe] = Field(min_length=1, description="One recipe for each family of base models.")

    def recipe(self, family: Family) -> Recipe:
        """The recipe for ``family``; raises ``NoRecipe`` when the preset has none."""
        found = self.recipes.get(family)
        if found is None:
            raise NoRecipe("preset-no-recipe", preset=self.id, family=family, families=", ".join(self.recipes))
        return found


class Group(_Strict):
    """Labels of which at most one is true of an image."""

    name: Id = Field(description="What the group is about: `shot`, `background`, `light` ...")
    template: Line = Field(description="The sentence that CLIP compares an image with; `{label}` stands for the label.")
    labels: tuple[Line, ...] = Field(
        strict=False, min_length=2, max_length=200, description="The labels, as they stand in a caption."
    )
    threshold: float = Field(
        ge=0, le=1, description="Probability among the group's labels below which none of them is used."
    )

    unsaid: tuple[Line, ...] = Field(
        (), strict=False, description="Labels that win for `none of the others` and then stand in no caption."
    )

    @field_validator("template")
    @classmethod
    def _holds_label(cls, template: str) -> str:
        if template.count("{label}") != 1 or set("{}") & set(template.replace("{label}", "")):
            raise ValueError("must hold {label} once and no other braces")
        return template

    @field_validator("labels")
    @classmethod
    def _no_label_twice(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        twice = [label for label, count in Counter(labels).items() if count > 1]
        if twice:
            raise ValueError(f"label given twice: {', '.join(twice)}")
        return labels

    @model_validator(mode="after")
    def _unsaid_are_labels(self) -> Self:
        strange = [label for label in self.unsaid if label not in self.labels]
        if strange:
            raise ValueError(f"unsaid holds what is no label: {', '.join(strange)}")
        if len(set(self.unsaid)) == len(self.labels):
            raise ValueError("unsaid must leave a label that can be said")
        return self


class Vocabulary(_Strict):
    """What zero-shot captioning may say about an image, group by group, in the order of the caption."""

    id: Id = Field(description="The name that presets refer to.")
    groups: tuple[Group, ...] = Field(strict=False, min_length=1, max_length=30, description="The groups of labels.")

    @field_validator("groups")
    @classmethod
    def _no_group_twice(cls, groups: tuple[Group, ...]) -> tuple[Group, ...]:
        twice = [name for name, count in Counter(group.name for group in groups).items() if count > 1]
        if twice:
            raise ValueError(f"group given twice: {', '.join(twice)}")
        return groups
