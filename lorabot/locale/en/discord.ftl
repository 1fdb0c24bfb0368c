# What only Discord needs: names of commands there, the form, links, permissions.

discord-token-refused = Discord doesn't take the bot's token (LORABOT_DISCORD__TOKEN). Copy it again from the Developer Portal: Bot, Reset Token.

## Commands

discord-name-train = train
discord-name-upload = upload
discord-name-jobs = jobs
discord-name-cancel = cancel
discord-name-presets = presets
discord-name-clear = clear
discord-name-privacy = privacy
discord-name-forgetme = forgetme
discord-name-help = help
discord-name-queue = queue
discord-name-queue-show = show
discord-name-queue-pause = pause
discord-name-queue-resume = resume
discord-name-queue-hold = hold
discord-name-queue-release = release
discord-name-queue-front = front
discord-name-queue-cancel = cancel
discord-name-queue-log = log
discord-name-preset = preset
discord-name-images = images
discord-name-trigger = trigger
discord-name-base = base
discord-name-name = name
discord-name-job = job
discord-menu-train = Train a LoRA from this
discord-hint-train = Train a LoRA on your pictures
discord-hint-upload = A page for large zips and many photos at once
discord-hint-queue-show = Who waits, and what is in training
discord-hint-queue-pause = Start no more jobs of this server; what runs goes on
discord-hint-queue-resume = Start jobs of this server again
discord-hint-queue-hold = Take a waiting job out of the line
discord-hint-queue-release = Put a held job back in line
discord-hint-queue-front = Let a waiting job be the next one
discord-hint-queue-cancel = Stop anybody's job
discord-hint-queue-log = What moderators have done
discord-option-images = A zip of pictures, or one picture; leave it out for a form that takes ten

## The form

discord-form-title = Train a LoRA
discord-form-preset = What shall it learn?
discord-form-preset-hint = Pick what fits best
discord-form-trigger = Trigger word
discord-form-trigger-hint = The made-up word that will call it up. Leave it empty and I suggest some.
discord-form-trigger-example = zuri
discord-form-files = Photos, or a zip of them
discord-form-files-hint = Up to 10 files. Leave it empty to use what you sent before.
discord-form-more = -# More than 10 photos, or a zip over Discord's limit? Type `/upload`.
discord-add-photos = Add photos
discord-go-on = Go on

## Photos

discord-nothing-attached = There is no picture and no zip in that message. Pick a message that has some.
discord-attachment-gone = Discord doesn't hand out `{ $name }` any more. Please send it again.
discord-photos-here =
    { $count ->
        [0] I looked through what you sent, and there is nothing to train on.
        [one] I have 1 photo of yours now. What shall I learn from it?
       *[other] I have { $count } photos of yours now. What shall I learn from them?
    }
discord-photos-go-on =
    { $count ->
        [one] I have 1 photo of yours now, and we can go on where we were.
       *[other] I have { $count } photos of yours now, and we can go on where we were.
    }
discord-upload-page = Here is [your own upload page]({ $url }) for zips of any size and as many photos as you like. It's good for a day. Keep it to yourself: who has it sends photos in your name.
discord-open-upload-page = Upload many photos
discord-link-local = That link works only on the computer I run on: I have no public address (LORABOT_WEB__PUBLIC_URL).

## Cards and results

discord-card-for = trigger word `{ $trigger }` · for { $whom }
discord-too-large-here = `{ $name }` ({ $size } MB) is larger than this server lets me send: [download it here]({ $url }).
discord-download = Download { $name } ({ $size } MB)
discord-no-pictures = I may not attach files in this channel, so there are no pictures.

## Permissions

discord-nowhere = Discord doesn't say where we are, so I can't answer here. Please use a text channel.
discord-missing-permissions = I can't work in this channel, because I lack: { $permissions }. Someone who manages the server can give them to my role (Server Settings, Roles), or for this channel alone (Edit Channel, Permissions). Nothing of yours is lost.
discord-not-a-member = This server has my commands, but I'm no member of it, so I couldn't show or send anything here. Someone who manages the server can [invite me]({ $url }); then please ask again. Nothing of yours is lost.
discord-restarting-kept = I'm being restarted. Your files have reached me: I look through them when I'm back, in a minute or so, and tell you in this channel.
discord-restarting = I'm being restarted. Please ask again in a minute. Files of yours that have reached me are kept, and none counts twice.
discord-channel-shut = I can't write in { $channel } any more, so here it is.
discord-permission-view-channel = View Channel
discord-permission-send-messages = Send Messages
discord-permission-send-in-threads = Send Messages in Threads
discord-permission-attach-files = Attach Files
