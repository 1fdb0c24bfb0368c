# What only Telegram says: greetings, the count of photos, files that are too large, groups.

telegram-welcome =
    Hi! I train image LoRAs on your photos.

    1. Send me 10 to 30 photos, as an album, one by one, as files or as a zip.
    2. Press Train, pick what it shall learn, and name a made-up word.
    3. Some minutes later you get the LoRA, with samples.
telegram-welcome-group =
    Hi! I train image LoRAs on photos. Reply to this message with your photos or a zip, or send a zip with `/train@{ $bot }` as its caption. If you'd rather do it alone, write to me in private.
telegram-welcome-open-group =
    Hi! I train image LoRAs on photos. Reply to this message with your photos or a zip, or send them with `/train` as the caption; other pictures of this group don't concern me. If you'd rather do it alone, write to me in private.
telegram-what-can-you = What can you train?
telegram-train = Train
telegram-count-next = Send more, or press Train when that's all.
telegram-send-as-file = By the way: Telegram makes photos smaller. Sent as files they keep every detail.
telegram-which-trigger = Which word shall call it up? It should be short and made up, so that it means nothing yet. Pick one, or just type your own.
telegram-which-trigger-group = Which word shall call it up? It should be short and made up, so that it means nothing yet. Pick one, or reply to this message with your own.

telegram-too-large = { $name } is larger than the { $limit } MB that Telegram lets me fetch. There is another way:
telegram-upload-page = Send it here (keep the link to yourself: who has it sends in your name)
telegram-link-in-private = { $name } is too large for Telegram. I've sent you a link in private.
telegram-open-private = That file is too large for Telegram. Please open t.me/{ $bot }, press Start, and send it to me there.
telegram-file-too-large = The LoRA is too large to be sent here. You can fetch it for some time:
telegram-file-refused = This chat doesn't let me send the file. You can fetch it for some time:
telegram-pictures-refused = (This group doesn't let me send photos, so the plot and the samples are missing here.)
telegram-link-file = Download { $name }
telegram-link-here = (This address opens only on the machine that lorabot runs on. Its operator can change that.)

telegram-not-your-file = That file is somebody else's. Please send the photos yourself.
telegram-one-of-album = Of that album Telegram shows me only the photo that you replied to. Please send the whole album once more (in a group, as a reply to this message), or a zip.
telegram-not-your-button = That button is somebody else's. Send your own photos and you get your own.
telegram-anonymous = I can't tell who you are while you stay anonymous or write as a channel. Please write under your own name, or to me in private.
telegram-cannot-write = I may not write in that group. An admin can let me send messages there.
telegram-instead-of-group = (The group doesn't let me write any more, so here it is.)

telegram-token-refused = Telegram doesn't know the token of the bot. Get a new one from @BotFather and set it as LORABOT_TELEGRAM__TOKEN. Everything else goes on.
telegram-webhook-no-port = The webhook can't listen on { $host }:{ $port }. Take another port (LORABOT_TELEGRAM__WEBHOOK_PORT).
telegram-webhook-refused = Telegram doesn't take the webhook's address: { $reason } (LORABOT_TELEGRAM__WEBHOOK_URL).
