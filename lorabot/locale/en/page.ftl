### The web chat page. Variables are filled in by the page itself, so no plurals or selectors here.

page-title = lorabot
page-skip = Go to the message box
page-conversation = Conversation
page-presets = Presets
page-language = Language
page-help = Help
page-you = You
page-bot = lorabot
page-today = Today
page-yesterday = Yesterday

page-empty-title = Teach a model something new
page-empty-first = Drop a zip or some photos of what it should learn anywhere on this page.
page-empty-then = Then name a preset and a word of your own that will call it up:
page-empty-example = /train preset:anime trigger:zuri
page-empty-files = Choose photos
page-empty-presets = Pick a preset

page-message = Message
page-placeholder = Type / for commands
page-send = Send
page-attach = Add photos or a zip
page-drop = Drop to add them
page-drop-hint = Photos, a folder or a zip

page-waiting = Goes out when the uploads are done
page-sending = Sending
page-lost = Connection lost, reconnecting
page-back = Connected again
page-too-many-tabs = This conversation is open in too many tabs. Close one and this page goes on.
page-newer = New messages

page-uploads = Uploads
page-upload-waiting = Waiting
page-upload-progress = { $percent } of { $size }
page-upload-checking = Looking at it
page-upload-cancel = Cancel the upload of { $name }
page-upload-retry = Try { $name } again
page-upload-dismiss = Put { $name } away
page-upload-failed = The upload broke off. Please try again.
page-upload-skipped = Left out, since they are neither pictures nor zips: { $names }
page-upload-too-large = This file has { $size }. The most this lorabot takes is { $most }.
page-upload-nothing = There was no picture and no zip in that.
page-pasted = pasted { $time }

page-more = and { $count } more

page-card = Training of { $name }
page-progress = Progress
page-steps = Step { $step } of { $total }
page-loss = Loss
page-loss-chart = Loss over { $step } steps, now { $loss }
page-training = training
page-validation = validation
page-at-step = step { $step }
page-before = before
page-samples = Samples

page-result = Result
page-download = Download { $name }
page-open = Show larger: { $name }
page-viewer = Picture
page-previous = Previous
page-next = Next
page-close = Close

page-confirm-cancel = Stop this training?
page-confirm-cancel-text = What it has learned so far is thrown away.
page-confirm-cancel-yes = Stop training
page-confirm-other = { $label }?
page-confirm-other-text = This cannot be taken back.
page-confirm-keep = Go back

page-picker-title = What should it learn?
page-picker-preset = Preset
page-picker-trigger = A word to call it by
page-picker-trigger-hint = Short and made up, like zuri. You will write it in your prompts.
page-picker-start = Start training
page-picker-loading = Fetching the presets
page-picker-none = There are no presets here.

page-suggestions = Suggestions

page-send-title = Send your photos
page-send-where = They go straight to your conversation on { $platform }.
page-send-where-web = They go straight to your conversation.
page-send-hint = Photos, folders or a zip: choose them, or drop them anywhere on this page.
page-send-most = At most { $size } a file.
page-send-none = Nothing sent yet
page-send-waiting = { $sent } of { $all } sent
page-send-sent = Sent: { $sent }
page-send-failed = not sent: { $failed }
page-send-done = Done
page-send-thanks = I have them
page-send-back = Go back to { $platform }: there I tell you what I found, and how it goes on. You can close this page.
page-send-back-web = Go back to the chat: there I tell you what I found, and how it goes on. You can close this page.
page-send-over = This page is over

page-login-title = Welcome
page-login-text = This lorabot asks for a password.
page-login-password = Password
page-login-enter = Come in
page-login-wrong = That is not the password. Please try again.
page-login-wait = Too many tries. Please wait { $minutes } min.
