# The command line, for the operator.

## Settings. { $name } is an environment variable, or a file and its key; { $allowed } is one of settings-allowed-...
settings-wrong = { $name } is "{ $value }", but it must be { $allowed }.
settings-missing = { $name } is missing; it must be { $allowed }.
settings-wrong-secret = { $name } can't be used; it must be { $allowed }. Its value is not shown here.
settings-wrong-section = { $name }: { $reason }.
settings-unknown-variable = There is no setting { $name }. Did you mean { $nearest }?
settings-unknown-variable-at-all = There is no setting { $name }. All settings are listed in docs/settings.md.
settings-unknown-key = { $file }: there is no setting { $name }. Did you mean { $nearest }?
settings-unknown-key-at-all = { $file }: there is no setting { $name }. All settings are listed in docs/settings.md.
settings-no-section = { $file }: { $name } is a section; its settings stand below a line [{ $name }].
settings-no-file = The settings file { $file } can't be read: { $reason }.
settings-not-toml = The settings file { $file } can't be understood: { $reason }.
settings-no-secret-file = { $name } names the file { $file }, which can't be read: { $reason }.
settings-twice = Both { $name } and { $file } are set. Keep one of them.
settings-allowed-choice = one of { $choices }
settings-allowed-url = an address that starts with { $scheme }:// or { $scheme }s://
settings-allowed-site = an address that starts with http:// or https://, with no path behind the host
settings-allowed-form = of the form { $form } ({ $description })
settings-allowed-text = a text of at least { $least } { $least ->
        [one] character
       *[other] characters
    }
settings-allowed-bases = a list of base models, in the environment as JSON, each with id, title and source (docs/bases.md)
settings-allowed-ids = numbers between commas
settings-allowed-networks = addresses or networks between commas, such as 127.0.0.1, 10.0.0.0/8
settings-allowed-path = a path
settings-allowed-any = a text
settings-allowed-between = { $kind ->
        [whole] a whole number
       *[number] a number
    } { $above ->
        [yes] above { $low } and up to { $high }
       *[no] from { $low } to { $high }
    }
settings-allowed-from = { $kind ->
        [whole] a whole number
       *[number] a number
    } { $above ->
        [yes] above { $low }
       *[no] from { $low } on
    }
settings-allowed-number = { $kind ->
        [whole] a whole number
       *[number] a number
    }

## Help of the command line. Markdown is allowed here.
cli-help =
    Train image LoRAs from a chat: send photos, type `/train`, get a `.safetensors` file back.

    New here? `lorabot demo` shows everything in a few minutes, and `lorabot up` starts your own chat page.
cli-epilog = Settings come from `LORABOT_...` variables and `lorabot.toml`; docs/settings.md lists them all. Exit codes: 0 it worked, 1 it did not, 2 the command line was wrong, 78 the settings are wrong.
cli-help-config = Settings file to read instead of `lorabot.toml` in this folder.
cli-help-debug = Show tracebacks and the most talkative logs.
cli-help-version = Show the version and exit.
cli-help-panel-run = Run it for people
cli-help-panel-make = Make a LoRA here and now
cli-help-panel-look = Look around
cli-help-up =
    Run everything on this machine: chat page, trainer, queue.

    The chat page opens on `http://127.0.0.1:8080`. A part that dies is started again; Ctrl-C ends all of it in order.
cli-help-bot = Run the chat side alone: the web page, and Discord and Telegram where their tokens are set. Needs no GPU and no torch.
cli-help-trainer = Run the training side alone, one for each GPU. Needs no chat library.
cli-help-demo =
    Watch the whole way once: a zip is sent to the chat, a LoRA is trained, its files come back.

    Uses the small built-in model, needs no GPU and no account, and leaves nothing behind but the results.
cli-help-demo-out = Folder for the results.
cli-help-train =
    Train one LoRA from a folder or a zip, without chat or queue.

    Example: `lorabot train photos/ --preset pet --trigger mokka --out mokka-lora`
cli-help-train-photos = A folder, a zip or a single picture.
cli-help-train-preset = The recipe to train by; `lorabot presets` lists them.
cli-help-train-trigger = A made-up word that will call up what was learnt, such as `zuri`. One is made up unless told.
cli-help-train-base = The base model; `lorabot bases` lists them. Left out: the first that the settings name, else demo.
cli-help-train-name = Name of the LoRA's file; the trigger word if not given.
cli-help-train-seed = Number that makes a training repeatable; random if not given.
cli-help-train-out = Folder for the results; one that holds another LoRA's is refused.
cli-help-presets = List what people can ask for, or show one preset in full.
cli-help-presets-id = The preset to show in full.
cli-help-bases = List the base models that can be trained on: where they are, and whether they can be used.
cli-help-bases-download = Download those on the Hugging Face Hub now, so that no job has to wait for it.
cli-help-doctor = Check this machine: Python, torch, GPU, Redis, database, files, tokens, models. Each line is ok, missing, or broken with what to do about it.

## What the commands say.
cli-unexpected = Something went wrong that nobody foresaw: { $reason }. The details are in { $file }.
cli-no-data-folder = Nothing can be kept in { $folder }: { $reason }. Mend that, or choose another folder with LORABOT_DATA_DIR.
cli-no-results-folder = The results can't be put into { $folder }: { $reason }. Name another folder with --out.
cli-database-away = The database can't be used now: { $reason }. Start it or make room for it, or correct LORABOT_DATABASE_URL; `lorabot doctor` says more.
cli-bad-url = It can't work with these settings: { $reason }. `lorabot doctor` says more.
cli-web-ready = The chat page is open: { $url }
cli-valkey-started = Started the embedded Valkey.
cli-valkey-failed = The embedded Valkey can't be started: { $reason }
cli-starting = Starting lorabot { $version } in { $folder } ...
cli-stopping = Stopping, one part after the other. Press Ctrl-C again to end at once.
cli-stopping-now = Ending at once.
cli-stopped = Everything has ended.
cli-rate = { $rate } steps/s
cli-loss = loss { $loss }
cli-train-no-photos = There is nothing at { $path }. Name a folder, a zip or a picture.
cli-train-empty = { $path } holds no files. Name the folder that holds the photos.
cli-train-stopped = Stopped. Nothing that was learnt is kept; the same command begins anew.
cli-train-too-much = { $path } holds more than { $files } files or { $megabytes } MB. Name the folder that holds only the photos.
cli-train-unreadable = { $path } can't be read: { $reason }. Take it out of the folder, or make it readable.
cli-train-another-lora = { $folder } holds the results of another LoRA, and this training would overwrite them. Name another folder with --out.
cli-train-made-up = The word that will call up what is learnt: { $trigger } (`--trigger` chooses another)
cli-train-looking = Looking through the photos
cli-train-loading = Loading the models
cli-train-done = Done. The files are in { $folder }:

supervisor-started = { $part } started (process { $pid })
supervisor-died = { $part } ended unexpectedly (exit code { $code }); starting it again in { $seconds } s
supervisor-died-signal = { $part } was killed ({ $signal }); starting it again in { $seconds } s
supervisor-settings = { $part } can't work with these settings; see its lines above.
supervisor-ending = Ending { $part } ...
supervisor-killed = { $part } did not end within { $seconds } s and was killed.
supervisor-killed-at-once = { $part } was ended at once.
supervisor-already-running = lorabot already runs on { $folder } (process { $pid }). Stop it first, or choose another folder with LORABOT_DATA_DIR.
supervisor-port-taken = Port { $port } on { $host } is taken by another program. Stop it, or choose another port with LORABOT_WEB__PORT.
supervisor-port-forbidden = Port { $port } may only be used by the system's administrator. Choose one above 1023 with LORABOT_WEB__PORT.
supervisor-host-unknown = { $host } is no address of this machine. Choose another with LORABOT_WEB__HOST.

presets-field = Field
presets-count = { $least } to { $most } images, best { $best }
presets-send = Send { $images }: { $kind }
presets-more = `lorabot presets ID` shows one in full. Put presets of your own into a folder and name it in LORABOT_PRESETS_DIR.
presets-override = Your { $file } takes the place of the built-in { $id }.
presets-broken = Left out: { $what }

bases-id = Id
bases-title = Name
bases-family = Family
bases-where = Where
bases-state = State
bases-built-in = built-in
bases-ok = ok, { $size } GB, { $prediction }
bases-sure = predicts { $prediction }
bases-usual = taken to predict { $prediction }
bases-downloading = Downloading { $source } ...
bases-more = Add your own under [[bases]] in lorabot.toml: docs/bases.md shows how.

demo-starting = Starting lorabot
demo-no-example = The example photos { $file } are not here. Run the demo from a checkout of the project.
demo-not-started = The chat page did not open within { $seconds } seconds.
demo-ended = lorabot ended in the middle of the demo (exit code { $code }).
demo-refused = The chat refused: { $reason }
demo-job-failed = The training failed. { $reason }
demo-too-long = The demo was not done after { $minutes } minutes.
demo-files-missing = The result came without { $files }.
demo-log = The whole log is in { $file }.
demo-done = Done in { $seconds } s. The results:
demo-next =

    Next steps
    {"  "}lorabot up                        your own chat page on http://127.0.0.1:8080
    {"  "}lorabot presets                   what people can ask for
    {"  "}LORABOT_DISCORD__TOKEN=...        for Discord (discord.com/developers, your application, Bot, Reset Token)
    {"  "}LORABOT_TELEGRAM__TOKEN=...       for Telegram (ask @BotFather for /newbot)
    Tokens go into the environment or lorabot.toml, before lorabot up. docs/discord.md and docs/telegram.md go through it step by step.

doctor-state-ok = ok
doctor-state-missing = missing
doctor-state-broken = broken
doctor-well = All that is needed is here.
doctor-broken = { $count ->
        [one] One thing is broken. Its lines above say how to mend it.
       *[other] { $count } things are broken. The lines above say how to mend them.
    }
doctor-python = { $version } ({ $path })
doctor-packages = { $names }
doctor-packages-missing = not installed: { $names }
doctor-packages-mend = Needed on a host that runs `lorabot { $extra }`: pip install 'lorabot[{ $extra }]'
doctor-torch = { $version }, CUDA { $cuda }
doctor-torch-broken = torch is installed but does not start: { $reason }
doctor-torch-mend = Install it again: pip install --force-reinstall torch torchvision
doctor-gpu = { $name } (number { $index }): { $free } of { $total } GB free, held by: { $holders }
doctor-gpu-unnamed = { $name } (number { $index }): { $free } of { $total } GB free, held by: { $holders }, and { $unnamed } GB by programs that can't be named from here
doctor-gpu-unmeasured = { $name } (number { $index }) shares the memory of the host
doctor-gpu-no-nvml = { $name }: { $free } of { $total } GB free; who holds the rest can't be asked
doctor-gpu-no-nvml-mend = The driver's NVML is missing here. A container gets it with NVIDIA_DRIVER_CAPABILITIES=compute,utility.
doctor-gpu-limit = of { $name } trainings take at most { $most } GB, as LORABOT_TRAINER__MEMORY_LIMIT says
doctor-gpu-full-mend = Little of its memory is free. End what holds it, or trainings will be slow or refused.
doctor-compiler = { $compiler } and Python's headers: kernels for the card can be compiled
doctor-compiler-none = no C compiler, so that trainings on the card are slower than need be
doctor-compiler-no-headers = Python.h is not here, so that trainings on the card are slower than need be
doctor-compiler-mend = Install gcc and Python's headers, on Debian and Ubuntu: apt-get install gcc python3-dev. docs/speed.md says what for.
doctor-gpu-none = no NVIDIA card found; trainings run on the processor
doctor-gpu-none-mend = That is fine for the demo model. For real ones install the NVIDIA driver; nvidia-smi should list the card.
doctor-gpu-wanted = LORABOT_TRAINER__DEVICE is { $device }, but there is no such card
doctor-gpu-wanted-mend = Install the NVIDIA driver (nvidia-smi lists the cards), or set LORABOT_TRAINER__DEVICE=auto.
doctor-gpu-hidden-mend = torch counts fewer cards than the driver. Correct CUDA_VISIBLE_DEVICES, or set LORABOT_TRAINER__DEVICE=auto.
doctor-gpu-unused = { $name } is here, but torch can't use it
doctor-gpu-unused-mend = This torch was built without CUDA or for a newer driver. See pytorch.org/get-started for the right one, or set LORABOT_TRAINER__DEVICE=cpu.
doctor-redis = { $where }, version { $version }
doctor-redis-away = { $where } does not answer ({ $reason })
doctor-redis-mend = Start it or correct LORABOT_REDIS_URL; without LORABOT_REDIS_URL lorabot starts its own.
doctor-valkey = our own Valkey, starts when needed
doctor-valkey-runs = our own Valkey, running
doctor-valkey-broken = our own Valkey does not start: { $reason }
doctor-valkey-mend = Install valkey or redis from your system's packages, or set LORABOT_REDIS_URL.
doctor-database = { $where }, version { $version }
doctor-database-new = { $where }, will be made at the first start
doctor-database-older = { $where }, version { $version }; the next start brings it to { $newest }
doctor-database-newer = { $where } was made by a newer lorabot (version { $version })
doctor-database-newer-mend = Install that lorabot again, or choose another LORABOT_DATABASE_URL.
doctor-database-away = { $where } does not answer ({ $reason })
doctor-database-bad = { $where }: { $reason }
doctor-database-mend = Start it or correct LORABOT_DATABASE_URL; without it lorabot keeps a file of its own.
doctor-estimates-none = no training here was estimated beforehand yet
doctor-estimates = { $count ->
        [one] the last training took { $percent } % longer or shorter than estimated
       *[other] the last { $count } trainings took { $percent } % longer or shorter than estimated, in the median
    }
doctor-blobs = { $where } can be written, read and cleared
doctor-blobs-broken = { $where } can't be used: { $reason }
doctor-blobs-mend = Check LORABOT_BLOB_URL, the folder's permissions, or for S3 the AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
doctor-disk = { $folder }, { $free } GB free
doctor-disk-mend = A training needs about 1 GB for a while, and its results stay. Make room, or move LORABOT_DATA_DIR.
doctor-disk-open = other users of this machine may look into { $folder }
doctor-disk-open-mend = What people send and get lies there. Keep it for this user alone: chmod 700 { $folder }
doctor-web = { $host }:{ $port } is free
doctor-web-runs = { $host }:{ $port }, lorabot is running
doctor-web-answers = { $host }:{ $port }, lorabot's own page answers there
doctor-web-mend = The chat page can't open there.
doctor-token = { $setting } is the token of { $owner }
doctor-token-refused = { $platform } does not take { $setting }
doctor-token-unasked = { $setting } looks like a token; { $platform } could not be asked: { $reason }
doctor-token-nonsense = { $setting } looks like a token; what answers for { $platform } is something else
doctor-token-unasked-mend = Check this host's way to { $platform }: its network, HTTPS_PROXY where it needs a proxy, and the setting api_url if you have changed it.
doctor-token-missing = { $setting } is not set
doctor-token-odd = { $setting } does not look like a token
doctor-token-discord = Get one at discord.com/developers: your application, Bot, Reset Token.
doctor-token-telegram = Get one from @BotFather on Telegram with /newbot.
doctor-base = { $base } ({ $family }), { $size } MB
doctor-base-guess = { $base } ({ $family }), { $size } MB; taken to predict { $prediction }, as is usual in its family
doctor-base-guess-mend = If it is the 512-pixel model, whose files look the same, set its prediction to epsilon.
doctor-base-bad = { $base } can't be trained on here
doctor-presets = { $count } can be asked for
doctor-preset-broken = left out: { $reason }
doctor-preset-mend = Correct the file; the others work meanwhile.
