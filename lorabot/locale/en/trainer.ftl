# What the trainer says: errors, the plan's reasons, notes while it works, the report.

## Errors
trainer-no-card = The settings (LORABOT_TRAINER__DEVICE) ask for { $device }, but there is no such card here. Choose another device, or “auto”.
trainer-no-images = There are no images to train on. Send some first.
trainer-broken-image = The image “{ $image }” can't be read. Send it again, or leave it out.
trainer-out-of-memory = There is not enough memory to train even one image at a time. Try again later, or ask the operator for a larger machine.
trainer-out-of-memory-held = There is not enough memory to train even one image at a time. These programs hold the card's memory: { $holders }. Try again when they have ended.
trainer-disk-full = The disk is full: the training needs { $needed } MB, and { $free } MB are free. The operator has to make room; your images are safe.
trainer-disk-takes-no-more = What this training made can't be written: the disk takes no more ({ $free } MB of it are free). The operator has to make room; your images are safe.
trainer-needs-velocity = The preset wants zero terminal SNR, which only base models that predict v can learn; this one predicts the noise. Choose another base model, or set zero_terminal_snr: false in the preset.
trainer-diverged = The training ran away at step { $step }: its loss went from { $first } to { $now }. More varied images, or another preset, usually help.
trainer-not-finite = The training gave no numbers any more at step { $step } ({ $skipped } steps were skipped). Try again, or with another preset.
trainer-crashed = The training broke down unexpectedly ({ $signature }). The operator finds the details in the log.
trainer-dataset-lost = One of the images of this job is not stored any more. Please send them again.

## Notes and notices while it works
training-note-encoding = Looking at the images. The LoRA will be a file of about { $megabytes } MB.
training-note-preserving = Looking at what the base model draws by itself
training-note-sampling = Drawing sample pictures
evaluating-note-sampling = Drawing the final pictures
training-notice-captions-cut = { $count ->
    [one] A caption is
   *[other] { $count } captions are
  } longer than the { $most } tokens a model can hear, so the end is left out. The image: { $image }
training-notice-begun-anew = What was saved of this training can't be used, so it begins anew.
training-notice-down-batch = { $why ->
    [slow] After step { $step } the steps took many times as long as before, as if the memory had run over.
   *[full] The memory ran out after step { $step }.
  } It goes on from there with { $batch } { $batch ->
    [one] image
   *[other] images
  } at a time instead of { $before }, which add up to the same; nothing is lost.
training-notice-down-checkpointing = { $why ->
    [slow] After step { $step } the steps took many times as long as before, as if the memory had run over.
   *[full] The memory ran out after step { $step }.
  } It goes on from there with intermediate results computed twice instead of being kept: slower, with the same result.
training-notice-down-offloading = { $why ->
    [slow] After step { $step } the steps took many times as long as before, as if the memory had run over.
   *[full] The memory ran out after step { $step }.
  } It goes on from there with the base model's weights in the host's memory: slower, with the same result.
training-notice-down-8-bit = Nothing fits into the memory as planned, so the optimiser keeps its moments in 8 bits. The result is practically the same.
training-notice-down-rank = Nothing fits into the memory as planned, so the LoRA gets rank { $rank } instead of { $before }. It learns a little less detail.
training-notice-down-resolution = Nothing else fits into the memory, so the images are trained on at { $resolution } pixels instead of { $before }.
training-notice-waiting = There is no room on the card, so the training waits up to { $minutes } { $minutes ->
    [one] minute
   *[other] minutes
  } for it. Its memory is held by { $holders }.
training-notice-waiting-hidden = There is no room on the card, so the training waits up to { $minutes } { $minutes ->
    [one] minute
   *[other] minutes
  } for it. Programs that can't be seen from here hold { $gigabytes } GB of it.
training-notice-disk = The LoRA is learnt, but the disk takes no more. It is tried again for up to { $minutes } { $minutes ->
    [one] minute
   *[other] minutes
  }; the operator has to make room.
training-notice-not-saved = The disk takes no more, so the state after step { $step } can't be saved. The training goes on; only if it were interrupted, some of it would have to be done again.
training-notice-latents-nowhere = The disk takes no more encoded images, so { $count } { $count ->
    [one] of them is
   *[other] of them are
  } encoded at every look: slower, with the same result.
training-notice-vae-tiles = The memory is scarce, so pictures are encoded and decoded in tiles. You will hardly see it.
training-notice-vae-16-bits = The memory is scarce, so pictures are encoded and decoded in 16 bits. You will hardly see it.
training-notice-vae-alone = The memory is scarce, so the base model leaves the card while pictures are encoded and decoded. It takes a little longer.
training-notice-fewer-at-once = The memory is scarce, so the model looks at { $rows } { $rows ->
    [one] picture
   *[other] pictures
  } at a time while it draws or measures. The result is the same.

## The plan and why
plan-card = { $card } has { $free } of { $total } MB free.
plan-card-shared = Other programs hold memory of the card: { $holders }.
plan-resolution = { $resolution } × { $resolution } pixels: the size this base model draws best. Images are scaled to about this area and cut where it costs them least, never stretched.
plan-steps = { $steps } steps of { $batch } images: the preset's budget of { $views } views, so that every image is seen about { $each } times.
plan-batch-whole = { $batch } { $batch ->
    [one] image goes
   *[other] images go
  } through the model at once; a test step showed that it fits.
plan-batch-split = { $batch } at a time, { $accumulation } times a step: more does not fit, and together they count as { $effective } as the preset wants.
plan-precision-fp32 = Numbers of 32 bits, which { $device } calculates best with.
plan-precision-no-bf16 = Numbers of 32 bits: { $device } has no bfloat16, and in the older float16 trainings overflow. It takes twice the memory and longer.
plan-precision-bf16 = Numbers of 16 bits (bfloat16), which { $device } is fast with; the LoRA itself keeps 32.
plan-rate = Learning rate { $rate }, rising over { $warmup } steps { $schedule ->
        [constant] and then staying as it is
        [linear] and then falling in a line
        [restarts] and then falling in half a cosine, { $restarts } times from the top
       *[cosine] and then falling in half a cosine
    }. Rank { $rank } and alpha { $alpha }: scale { $scale }.
plan-optimiser-adamw8bit = AdamW keeps its moments in 8 bits, which saves memory.
plan-optimiser-no-8bit = AdamW with moments of 32 bits: 8 bits need an NVIDIA card and the package bitsandbytes. The result is the same, it only takes more memory.
plan-optimiser-prodigy = Prodigy finds the learning rate itself while it goes; what is stated here is a factor of it.
plan-optimiser-schedule-free = Schedule-free AdamW averages what it finds, in place of lowering the rate.
plan-lora-plus = The LoRA's up matrices learn { $ratio } times as fast as its down matrices (LoRA+).
plan-file = The LoRA file will have about { $megabytes } MB, in { $precision } numbers.
plan-rank-stabilised = The scale is alpha through the square root of the rank, so that a high rank learns as fast as a low one.
plan-dora = The length of each layer's weights is learnt apart from their direction (DoRA). ComfyUI and Forge draw such a file nearly as trained; AUTOMATIC1111 and plain diffusers do not.
plan-dropout = { $percent } % of what goes into the LoRA are left out at random in every step, so that it memorises less.
plan-dropout-plain = Because of that the LoRA can't be folded into the base model's weights: on this processor the steps take longer.
plan-loss-huber = Large errors count for less (Huber loss, { $delta } at the noisiest timestep), so that odd pictures don't pull the rest along.
plan-timesteps-content = The noisy timesteps are trained on more often: they settle what a picture shows.
plan-timesteps-style = The less noisy timesteps are trained on more often: they settle how a picture is drawn.
plan-zero-terminal-snr = The noisiest timestep is noise alone, so that very dark and very bright pictures can be learnt.
plan-held-out = { $count } images are not trained on: they show whether the model learns or only memorises.
plan-none-held-out = With { $images } { $images ->
    [one] image
   *[other] images
  } none is held out, that needs { $least }: the validation loss is measured on training images, with the same noise every time.
plan-estimate = A test step took { $step_ms } ms, so the steps should take about { $seconds } s, not counting samples.
plan-preserved = { $rows ->
    [one] One more row a step holds
   *[other] { $rows } more rows a step hold
  } on to what the base model draws by itself: it made { $pictures } { $pictures ->
    [one] picture
   *[other] pictures
  } without the trigger word first.
plan-text-encoder = The text encoder learns too, at the rate { $rate }: it hears every caption anew in every step.
plan-buckets = The images differ in shape, so { $count ->
    [one] one size is
   *[other] { $count } sizes are
  } trained, each step with one of them. Most of the images ({ $images }) have { $largest } pixels.
plan-enlarged = { $count ->
    [one] One image is so small that it
   *[other] { $count } images are so small that they
  } had to be enlarged more than { $most } times. Some blur will be learnt from that.
plan-checkpointing = Intermediate results are computed twice instead of being kept: slower, but it takes less memory.
plan-batch-enough = { $batch } at a time, { $accumulation } times a step: more at once was measured to be no faster. Together they count as { $effective } as the preset wants.
plan-checkpointing-fits = Intermediate results are computed twice instead of being kept: only so does it fit, or is it the fastest on this card.
plan-offloading = The base model's weights lie in the host's memory and come over layer by layer: so this card has more room for the images.
plan-latents-nowhere = The encoded images fit neither into the memory nor on the disk, so each is encoded whenever it is looked at: much slower, with the same result.
plan-peak = At its peak the training should hold about { $megabytes } MB of the card.
plan-fast = The steps take a fast way through the base model; it was tried against the plain one at the start.
plan-plain-layers = The steps take the plain way: the fast one knows only LoRAs on linear layers.
plan-plain-dora = The steps take the plain way: the fast one knows no DoRA.
plan-plain-dropout = The steps take the plain way: in the fast one the LoRA is folded into the base model's weights, and nothing can be left out.
plan-plain-memory = The steps take the plain way: the fast one finds no room to lay the base model's weights out.
plan-plain-offloading = The steps take the plain way: the fast one needs the whole base model on the card.
plan-plain-network = The steps take the plain way: the fast one does not know this kind of base model.
plan-plain-card = The steps take the plain way: the fast one needs a card with bfloat16.
plan-plain-triton = The steps take the plain way: the fast one needs the package Triton.
plan-plain-failed = The steps take the plain way: the fast one fails here; the trainer's log says why.
plan-plain-lost = The fast way through the base model failed, so the steps take the plain one from here on: slower, and the result is the same. The trainer's log says why.
plan-plain-differs = The steps take the plain way: the fast one, when it was tried, gave other results.
plan-moved = Gone on with on { $device }, { $batch } at a time.

## The report
report-intro = A LoRA for the base model **{ $base }**, made with the preset **{ $preset }** from { $images } { $images ->
    [one] image
   *[other] images
  } in { $steps } steps. Its trigger word is **{ $trigger }**.
report-chosen = What you get is the state after step { $step }: of those from step { $half } on (before, too little is learnt, however low the loss), it had the lowest loss on images that it was not trained on ({ $loss }; before training { $first }).
report-chosen-seen = What you get is the state after step { $step }: of those from step { $half } on (before, too little is learnt, however low the loss), it had the lowest validation loss ({ $loss }; before training { $first }). There were too few images to hold some out, so it was measured on training images.
report-plot = Loss plot
report-grid = Sample pictures before, during and after training
report-usage = How to use it
report-usage-demo = This LoRA belongs to the small demo model that comes with lorabot. In AUTOMATIC1111, Forge and ComfyUI you use LoRAs trained on a Stable Diffusion base.
report-usage-a1111 = **AUTOMATIC1111 / Forge**: put `{ $file }` into `models/Lora` and write `{ $tag } { $trigger }` into the prompt.
report-usage-comfyui = **ComfyUI**: put `{ $file }` into `models/loras`, add the node “Load LoRA” after the checkpoint, and write `{ $trigger }` into the prompt.
report-usage-diffusers = **diffusers**:
report-usage-strength = Start with strength 1. If everything looks the same, go down to 0.7; if too little shows, up to 1.2.
report-numbers = In numbers
report-row-file = File
report-row-images = Images
report-row-buckets = Sizes they are trained at (images)
report-row-steps = Steps
report-row-rate = Rate
report-row-time = Time
report-row-loss = Training loss (smoothed)
report-row-validation = Validation loss
report-row-skipped = Skipped steps
report-row-device = Device
report-images = { $training } trained on, { $held } held out
report-steps = { $steps }, { $batch } images each
report-rate = { $rate } steps/s, without saving and sampling
report-time = { $seconds } s, of which { $training } s are training steps
report-plan = The plan, and why
report-expected = Before the start, { $low } to { $high } s were expected for all of it; it took { $true } s, { $percent } % { $way ->
        [longer] longer
       *[shorter] shorter
    } than the middle of that.
report-peak = At its peak it held { $true } MB of the card{ $planned ->
        [none] .
       *[other] ; { $planned } MB were planned.
    }
report-estimate-true = It came true like this: { $estimate } s were expected for the steps, they took { $true } s.
report-losses = Losses
report-losses-how = Measured with the same noise and the same noise levels every time, so the numbers can be compared. ★ is the state you get.
report-column-step = Step
report-column-validation = Validation
report-column-seen = Training images
report-dataset = Images and captions
report-dataset-how = The trigger word **{ $trigger }** stands in every caption. What a caption names can be changed later in a prompt; what it leaves out belongs to the trigger.
report-dataset-more = … and { $count } more, all of them in `report.json`.
report-column-image = Image
report-column-caption = Caption
report-column-used = Used for
report-used-training = training
report-used-held-out = validation
report-timings = Where the time went
report-column-stage = Stage
report-seconds-preparing = Loading the base model
report-seconds-captioning = Captions
report-seconds-planning = Planning
report-seconds-opening = Getting the model ready for steps
report-seconds-encoding = Encoding images and captions
report-seconds-preserving = What the base model draws by itself
report-seconds-training = Training steps
report-seconds-validation = Validation
report-seconds-sampling = Sample pictures
report-seconds-waiting = Waiting for the card
report-seconds-saving = Saving states to resume from
report-seconds-exporting = Writing the files
report-seconds-other = Everything else
report-seconds-sum = Together
report-versions = Versions
report-base = Base model { $base } ({ $identity }), seed { $seed }
