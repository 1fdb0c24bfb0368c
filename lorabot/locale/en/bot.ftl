# Everything the bot says: answers to commands, what was found in files, cards, results, the web front end.

bot-unexpected = Something went wrong on my side. Please try again; if it stays, tell the operator this number: { $id }.

## Commands

command-just-talk = I'm only good at commands. Send photos or a zip, then something like `/train preset:anime trigger:zuri`. `/help` shows everything.
command-unknown = I don't know the command `/{ $command }`. `/help` shows those I know.
command-unknown-near = I don't know the command `/{ $command }`. Did you mean `/{ $nearest }`?
command-option-unknown = `/{ $command }` has no option `{ $option }`. It has: { $options }.
command-option-unknown-near = `/{ $command }` has no option `{ $option }`. Did you mean `{ $nearest }:`?
command-option-twice = You gave `{ $option }` twice. Which one shall it be?
command-option-empty = There is nothing behind `{ $option }:`. Write it like `{ $option }:word`.
command-no-options = `/{ $command }` stands alone, without any words behind it.
command-too-many = I don't know what `{ $word }` is for. `/{ $command }` takes no more than: { $options }. Write texts of several words in quotes, and options like `name:word`.
command-old-button = I don't know that button any more. Please type a command instead; `/help` shows them.

command-hint-train = Train a LoRA on the photos you sent
command-hint-status = How your newest job is doing
command-hint-jobs = Your jobs
command-hint-cancel = Stop a job
command-hint-presets = What can be trained, and what to send for it
command-hint-clear = Throw away the photos you have sent and not trained on yet
command-hint-queue = Show and run the queue (moderators)
command-hint-privacy = What I keep of you, and for how long
command-hint-forgetme = Delete everything of yours
command-hint-help = What I can do
command-option-preset = What to train: anime, portrait, product ...
command-option-trigger = The made-up word that will call it up
command-option-base = Base model to train on
command-option-name = Name of the file
command-option-seed = Whole number; the same one repeats a training
command-option-job = The job's id or name
command-option-action = What to do: show, pause, resume, hold, release, front, cancel, log
command-base-hint-demo = Small built-in model
command-base-hint-sd15 = Stable Diffusion 1.5
command-base-hint-sd21 = Stable Diffusion 2.1
command-base-hint-sdxl = Stable Diffusion XL
command-job-hint =
    { $state ->
        [running] { $name }, in training
        [held] { $name }, on hold
       *[queued] { $name }, waiting
    }
command-trigger-hint = A made-up word; any other does as well

command-which-preset = What shall it learn? Pick a preset, or type it like `/train preset:anime`. `/presets` explains them.
command-which-trigger = Which word shall call it up? It should be short and made up, so that it means nothing yet. Pick one, or type your own: `/train preset:{ $preset } trigger:{ $example }`.
command-trigger-words = `{ $trigger }` is more than one word. The trigger must be a single made-up word, like `{ $suggestion }`.
command-trigger-goes-on =
    I don't know what `{ $word }` is for: the trigger must be a single made-up word, like `{ $suggestion }`, and { $place ->
        [preset] there is no preset of that name. There are: { $known }.
       *[base] there is no base model of that name. There are: { $known }.
    }
command-trigger-odd = `{ $trigger }` can't be a trigger: only plain letters a to z and digits work, starting with a letter. How about `{ $suggestion }`?
command-trigger-short = `{ $trigger }` is too short for a trigger. Three letters is the least. How about `{ $suggestion }`?
command-trigger-long = `{ $trigger }…` is too long for a trigger. { $limit } letters is the most. How about `{ $suggestion }`?
command-trigger-common = `{ $trigger }` already means something to the model, which would mix it up with what you teach. Take a made-up word, like `{ $suggestion }`.
command-name-odd = `{ $name }` can't be a file's name. Use letters, digits, `-` and `_`, at most { $limit }. How about `{ $suggestion }`?
command-name-long = `{ $name }…` is too long for a file's name. Use letters, digits, `-` and `_`, at most { $limit }. How about `{ $suggestion }`?
command-seed-odd = `{ $seed }` is no seed. It must be a whole number from 0 to { $limit }.
command-too-few =
    { $count ->
        [one] There is 1 photo so far,
       *[other] There are { $count } photos so far,
    } and `{ $preset }` needs at least { $least }. Please add { $more } more. { $kind }
command-too-many-images = There are { $count } photos, and `{ $preset }` takes at most { $most }. `/clear` throws them away; then send the best ones.
command-too-few-for-any =
    { $count ->
        [one] There is 1 photo so far,
       *[other] There are { $count } photos so far,
    } and I need at least { $least } to learn from. Please add { $more } more.
command-too-many-for-any = There are { $count } photos, and { $most } is the most I can learn from. `/clear` throws them away; then send the best ones.
command-queued =
    { $images ->
        [one] `{ $name }` will be trained with { $preset } on 1 photo.
       *[other] `{ $name }` will be trained with { $preset } on { $images } photos.
    } { $position ->
        [0] It starts right away.
        [1] You're next in line.
       *[other] You're number { $position } in line.
    }
command-no-jobs = You have no jobs yet. Send some photos or a zip, then type something like `/train preset:anime trigger:zuri`.
command-none-here = None of those jobs of yours was asked for in this chat. Where others read along I don't speak of the rest; ask me in private, or name the job.
command-status = `{ $name }` ({ $id }), { $preset }: { $state }
command-steps = Step { $step } of { $total }
command-jobs = Your jobs, the newest first:
command-jobs-line = `{ $id }` { $name }, { $preset }: { $state }
command-cancel-job = Cancel { $name }
command-nothing-to-cancel = There is nothing to cancel: none of your jobs is waiting or in training.
command-which-job = You have several jobs under way: { $jobs }. Name the one to cancel, like `/cancel job:ID`.
command-cancelled = `{ $name }` is cancelled.
command-cancelling = I'm stopping `{ $name }`.
command-clear = Clear
command-cleared =
    { $count ->
        [0] There were no photos to throw away.
        [one] The photo is thrown away.
       *[other] All { $count } photos are thrown away.
    }
command-consent =
    Before we start: I use the photos you send to train your LoRA, and for nothing else. The people in them should agree too.
    I keep them and what I make of them for { $days ->
        [one] one day
       *[other] { $days } days
    } after the job has ended, then they are deleted. `/privacy` says more, and `/forgetme` deletes everything at once.
command-agree = I agree
command-start = Start
command-drop = Cancel
command-dropped = Fine, I leave it. Your photos are still here; `/clear` throws them away.
command-confirm =
    { $images ->
        [one] Ready: `{ $name }`, { $preset } on 1 photo, base model `{ $base }`, called up by `{ $trigger }`.
       *[other] Ready: `{ $name }`, { $preset } on { $images } photos, base model `{ $base }`, called up by `{ $trigger }`.
    }
command-estimate-alike = It takes { $duration }, as the last ones like it did.
command-estimate-others = It takes roughly { $duration }, going by other trainings here.
command-estimate-step = It takes roughly { $duration }: it's the first of its kind here, so I go by a test step.
command-estimate-file = The LoRA file will have about { $megabytes } MB.
command-estimate-memory = It needs about { $gigabytes } GB of the card's memory.
command-estimate-first = It's the first of its kind here, so I can't say yet how long it takes.
command-place =
    { $position ->
        [1] Nobody is waiting before you.
       *[other] You'd be number { $position } in line.
    }
command-place-wait =
    { $position ->
        [1] You'd be next in line; it starts in { $duration }.
       *[other] You'd be number { $position } in line; it starts in { $duration }.
    }
command-no-trainer = No trainer is ready at the moment, so it waits until one is.
command-base-nowhere = No trainer that is running has the base model { $base }, so it waits until one does. Moderators see it in /queue.
command-place-paused = The queue is paused right now, so it waits until a moderator lets it go on.
command-again-enough =
    { $way ->
        [stronger] `{ $name }` has learned as long as is good for it already. More photos will help it more than more time.
       *[weaker] `{ $name }` has learned for so short a time that less would leave nothing.
    }
command-not-a-moderator = Only moderators may do that.
command-not-a-moderator-web = Only moderators may do that, and on this page nobody is one unless the operator sets `LORABOT_WEB__EVERYBODY_IS_OPERATOR=true`.
command-queue-not-all = Only the operators named in the settings may do that for everything. Leave out `all`, and it holds for this community.
command-queue-unknown = I can't `{ $action }` the queue. Did you mean `/queue { $nearest }`? There are: { $actions }.
command-queue-which-job = Which job? Name it, like `/queue { $action } ID`. `/queue show` lists them.
command-queue-several = Several jobs are called `{ $name }`: { $jobs }. Please name the id.
command-queue-paused =
    { $where ->
        [all] Everything is paused: what runs goes on, nothing new starts.
       *[other] The queue of this community is paused: what runs goes on, nothing new starts.
    }
command-queue-resumed =
    { $where ->
        [all] Everything goes on, except communities that were paused by themselves.
       *[other] The queue of this community goes on.
    }
command-queue-still-paused = This community is not paused any more, but an operator has paused everything, so nothing starts yet.
command-queue-hold = `{ $name }` ({ $id }) is on hold. `/queue release { $id }` lets it wait for its turn again.
command-queue-release =
    { $position ->
        [0] `{ $name }` ({ $id }) is released and starts right away.
       *[other] `{ $name }` ({ $id }) waits for its turn again, number { $position } in line.
    }
command-queue-front =
    { $position ->
        [0] `{ $name }` ({ $id }) is moved to the front and starts right away.
       *[other] `{ $name }` ({ $id }) is moved to the front, number { $position } in line.
    }
command-queue-is-paused =
    { $where ->
        [all] Everything is paused (by { $by }).
       *[other] Paused: { $where } (by { $by }).
    }
command-queue-jobs = The queue, in the order it is served:
command-queue-empty = The queue is empty.
command-queue-line = `{ $id }` { $name }, { $preset }, for { $owner }: { $state }
command-queue-more = And more behind them.
command-queue-base-nowhere = { $jobs ->
        [one] One of these jobs waits
       *[other] { $jobs } of these jobs wait
    } for a trainer with the base model `{ $base }`: no running one has it. Put its file where the settings of a trainer's host name it.
command-queue-trainer = Trainer `{ $worker }`: { $device }
command-queue-card = Trainer `{ $worker }`: { $card }, { $free } of { $total } GB free, { $own } GB its own{ $holders ->
        [none] {""}
       *[other] ; held by others: { $holders }
    }{ $unnamed ->
        [none] {""}
       *[other] ; { $unnamed } GB by programs it can't name
    }
command-queue-log = What moderators did, the newest first:
command-queue-log-empty = No moderator has done anything yet.
command-queue-log-line =
    { $where ->
        [all] { $at }: { $who } did `{ $action }` everywhere
       *[other] { $at }: { $who } did `{ $action }` in { $where }
    }{ $job ->
        [none] .
       *[other] , job `{ $job }`.
    }
command-queue-button-pause = Pause
command-queue-button-resume = Resume
command-queue-hint-show = What runs and what waits
command-queue-hint-pause = Start nothing new
command-queue-hint-resume = Go on
command-queue-hint-hold = Keep a waiting job back
command-queue-hint-release = Let a held job wait for its turn again
command-queue-hint-front = Serve a waiting job next
command-queue-hint-cancel = Stop somebody's job
command-queue-hint-log = What moderators did
command-privacy =
    What I keep, and for how long:
    Photos you send: until you train on them or `/clear` them (then they are gone within a day), at most { $drafts ->
        [one] one day
       *[other] { $drafts } days
    }. Where they were taken and other hidden data is removed as they come in.
    A job's photos, samples, results and log: { $days ->
        [one] one day
       *[other] { $days } days
    } after it has ended, even where you got the photos back for another try; then all of it is deleted, here and from my storage.
    What is said in the web chat: as long. Other chats keep their messages themselves.
    Your account's id and language, and that you agreed: until you say `/forgetme`.
    I use all this to train your LoRA and to send it to you, and for nothing else. Nobody else gets your photos or your files from me.
command-forget = Delete everything of mine
command-forget-sure = Really? That deletes your photos, your jobs with all they made, and what I know of you. Jobs under way are stopped. It can't be undone.
command-forget-yes = Yes, delete everything
command-forgotten =
    { $jobs ->
        [0] It's done: I have deleted everything of yours ({ $files } files).
        [one] It's done: I have deleted everything of yours (1 job, { $files } files).
       *[other] It's done: I have deleted everything of yours ({ $jobs } jobs, { $files } files).
    }
command-forgotten-chat = What stands in a chat stays there: delete your own messages as you like, and mine where the chat lets you; elsewhere ask a moderator.
command-presets = What I can train (`/presets NAME` says more):
command-presets-line = `{ $preset }` { $title }: { $description }
command-preset =
    `{ $preset }` { $title }: { $description }
    What to send: { $kind }
    How many: { $least } to { $most }, best about { $best }.
    Base models: { $bases }.
command-help = Send me photos or a zip of what I should learn. Then type one of these:
command-help-line = `{ $usage }` { $hint }

## Files that people send

intake-looking-first = I'm looking at it …
intake-looking = I'm looking through your pictures: { $done } of { $total } …
intake-found =
    { $count ->
        [one] One good picture.
       *[other] { $count } good pictures.
    }
intake-found-none = I found nothing to train on.
intake-found-none-new = I found nothing new to train on.
intake-left-out = Left out: { $names }. { $reason }
intake-left-out-more = Left out: { $names } and { $more } more. { $reason }
intake-left-out-rest = Left out for other reasons: { $count } more.
intake-captions =
    { $count ->
        [one] One of them came with a caption of yours; I use it.
       *[other] { $count } of them came with captions of yours; I use them.
    }
intake-passed-over =
    { $count ->
        [one] I passed over one file that is no picture.
       *[other] I passed over { $count } files that are no pictures.
    }
intake-draft = Together with what you sent before there are { $count } now.
intake-draft-same =
    { $count ->
        [one] The picture you sent before is still here.
       *[other] The { $count } pictures you sent before are still here.
    }
intake-next = What shall it learn? Pick a preset, or type `/train preset:anime trigger:zuri`.

intake-not-a-zip = It's neither a zip nor a picture. Please send JPEG, PNG or WebP pictures, or a zip of them.
intake-other-archive = That is another kind of archive. Please pack the pictures as a zip.
intake-zip-damaged = The zip is damaged. Please pack and send it again.
intake-zip-empty = The zip is empty.
intake-zip-no-images = It holds no pictures.
intake-zip-locked = The zip has a password. Please send it without one.
intake-zip-too-many = The zip holds { $count } files; { $limit } is the most. Please send only the pictures.
intake-zip-too-large = The zip would unpack to more than I can take ({ $limit } MB at most). Please send only the pictures.
intake-zip-bomb = The zip would unpack to far more than its own size, as pictures never do. Please send only the pictures.
intake-zip-method = It's packed in a way I can't unpack. Please use a plain zip.
intake-nested-zip = It's an archive inside the zip. Please put the pictures in directly.
intake-locked = It has a password.
intake-caption-unread = I can't read that caption. Please save it as plain text (UTF-8), of at most 16 kB.
intake-broken = It can't be read; it may be damaged. Please send it again.
intake-not-an-image = It isn't a picture.
intake-video = It's a video. Please send single pictures.
intake-empty-file = The file is empty.
intake-no-heic = I can't read HEIC pictures here. Please send them as JPEG (on an iPhone: Settings, Camera, Formats, Most Compatible).
intake-too-many-pixels = It has more than { $limit } million pixels. Please send it smaller.
intake-too-small = It's { $width } × { $height } pixels; each side needs at least { $least }.
intake-too-narrow = It's { $width } × { $height } pixels, which is too long and narrow.
intake-blank = It's blank.
intake-duplicate =
    { $files ->
        [one] It's the same as another one.
       *[other] They're the same as others.
    }
intake-draft-full = There are { $limit } pictures already, which is the most. `/clear` throws them away.
intake-image-too-large = It's larger than { $limit } MB.
intake-too-heavy = It takes too much memory to read. Please send it smaller.
intake-too-slow = It takes too long to read. Please send it again as JPEG or PNG.
intake-crashed = It can't be read; the file is damaged or not what it says. Please send it again as JPEG or PNG.
intake-file-too-large = { $name } is too large. { $limit } MB is the most.
intake-no-room = There is no room for { $name } on my disk right now. Please try again later.
intake-disk-full = My disk is full, so I could not look at it. Please tell the operator, and send it again later.
intake-too-many-waiting = You have sent very many files at once. Please wait until I have looked through them, then send { $name } again.
intake-upload-unwanted = You had everything of yours deleted while { $name } was on its way, so it was deleted too. Send it again if you want it trained on.
intake-upload-broken = { $name } was cut off on its way. Please send it again.

## The card of a job

card-state-held = On hold
card-state-queued = Waiting
card-state-in-line =
    { $position ->
        [1] Next in line
       *[other] Number { $position } in line
    }
card-state-running = In training
card-state-cancelling = Being cancelled
card-state-succeeded = Done
card-state-failed = Failed
card-state-cancelled = Cancelled
card-stage-preparing = Getting ready
card-stage-captioning = Describing the pictures
card-stage-planning = Planning what fits the machine
card-stage-training = Training
card-stage-evaluating = Judging the result
card-stage-exporting = Writing the files
card-rate = { $rate } steps/s
card-rate-slow = { $seconds } s a step
card-left-seconds = { $seconds } s left
card-left-minutes = { $minutes } min left
card-left-hours = { $hours } h { $minutes } min left
duration-seconds = about { $seconds } seconds
duration-minutes =
    { $minutes ->
        [one] about a minute
       *[other] about { $minutes } minutes
    }
duration-seconds-range = { $low } to { $high } seconds
duration-minutes-range = { $low } to { $high } minutes
duration-hours-range = { $low } to { $high } hours
duration-hours = about { $hours } h { $minutes } min
card-sample-alt = { $prompt }, at step { $step }
card-cancel = Cancel
card-details = Details

## What is told of a job to who asks for more

details-words =
    { $images ->
        [one] Trigger `{ $trigger }`, base model `{ $base }`, seed { $seed }, 1 photo.
       *[other] Trigger `{ $trigger }`, base model `{ $base }`, seed { $seed }, { $images } photos.
    }
details-recipe = Plan: { $views } views of { $resolution } pixels, { $batch } at a time, rank { $rank }, learning rate { $rate }.
details-loss = Loss: { $first } at first, { $last } last.
details-validation = Validation loss: { $first } at first, { $best } at its best so far.
details-validation-ended = Validation loss: { $first } at first, { $best } at its best.
details-took = From its start to its end it took { $duration }.
details-crashes =
    { $count ->
        [one] It was interrupted once and went on.
       *[other] It was interrupted { $count } times and went on.
    }
details-captions =
    { $count ->
        [one] One photo came with a caption of yours:
       *[other] { $count } photos came with captions of yours, among them:
    }
details-caption = `{ $name }`: `{ $caption }`

## The result of a job

result-done = `{ $name }` is done ({ $preset }).
result-how =
    { $images ->
        [one] Trained on 1 picture
       *[other] Trained on { $images } pictures
    } in { $steps } steps, { $duration }.
result-loss = Validation loss: { $first } at first, { $kept } after step { $step }, which is what you get.
result-use = How to use it: put `{ $file }` where your LoRA files are (made for the base model `{ $base }`) and write `{ $trigger }` in your prompt.
result-use-demo = How to use it: `{ $file }` is made for the small demo model (`{ $base }`) alone; there, write `{ $trigger }` in your prompt. For AUTOMATIC1111, Forge or ComfyUI, train on a Stable Diffusion base; whoever runs this bot can add one.
result-stronger = Train again, stronger
result-weaker = Train again, weaker
result-alt-plot = Loss over the steps of the training
result-alt-grid = Samples from before, during and after the training
result-cancelled = `{ $name }` was cancelled.
result-failed = `{ $name }` failed. { $reason }
result-photos-kept =
    { $count ->
        [one] Your photo is still here: `/train` takes it, `/clear` throws it away.
       *[other] Your { $count } photos are still here: `/train` takes them, `/clear` throws them away.
    }
result-photos-displaced =
    { $count ->
        [one] Its { $kept ->
            [0] photo
           *[other] other photo
        } is not here any more, because you have sent others since: send it again to train on it.
       *[other] Its { $kept ->
            [0] { $count } photos
           *[other] other { $count } photos
        } are not here any more, because you have sent others since: send them again to train on them.
    }
result-no-reason = I don't know why; the operator's log may.
result-notice = `{ $name }`: { $notice }

## The web front end

web-needs-password = The web chat would be open to everybody at { $host }. Set a password (LORABOT_WEB__PASSWORD), or let it listen on 127.0.0.1.
web-port-taken = Something else listens on { $host }:{ $port } already. End it, or take another port (LORABOT_WEB__PORT).
web-no-address = The web chat can't listen on { $host }:{ $port }: this machine has no such address, or doesn't allow it (LORABOT_WEB__HOST, LORABOT_WEB__PORT).
web-no-session = Your visit has ended. Please load the page again.
web-wrong-host = This lorabot doesn't answer to that name. Open it at the address it printed when it started. For another address its operator sets LORABOT_WEB__PUBLIC_URL.
web-wrong-origin = That came from another site.
web-upload-unnamed = The upload has no name.
web-not-understood = I didn't understand that message of the page. Please load the page again.
web-too-fast = That was a lot at once. Please wait for the answers.
web-link-expired = This link has expired. Load the conversation again for a fresh one.
web-nothing-here = There is nothing at this address. The chat is at the address without anything after the host's name.
web-link-unknown = This link is not one of mine.
web-send-expired = This link is too old: it's good for a day. Please ask for a new one in the chat.
web-send-closed = This link has been used. Please ask for a new one in the chat if you have more to send.
web-file-gone = This file is gone: what a job made is deleted some time after its end. /privacy in the chat says when.
