# What the queue says itself.
queue-already-queued =
    { $limit ->
        [1] You already have a job under way: { $job }. Wait for it to finish, or cancel it first.
       *[other] You already have { $limit } jobs under way, the oldest is { $job }. Wait for one to finish, or cancel one first.
    }
queue-no-such-job = There is no job called { $job }. /jobs lists yours.
queue-not-yours = { $job } belongs to somebody else, so only they or a moderator can do that.
queue-already-finished =
    { $state ->
        [succeeded] { $job } is finished already; its files are above.
        [cancelled] { $job } was cancelled before.
       *[failed] { $job } has ended already: it failed.
    }
queue-wrong-state =
    { $state ->
        [running] { $job } is running, so that can't be done to it.
        [held] { $job } is on hold already.
        [queued] { $job } is waiting in the queue, not on hold.
       *[other] { $job } has ended, so that can't be done to it any more.
    }
queue-no-proposal = That was too long ago, or dropped. Please ask again; `/help` shows how.
queue-already-started = That one is under way already: `{ $job }`. `/status` tells how it goes.
queue-no-draft = There are no photos to train on yet. Send some, or a zip of them.
queue-unavailable = I can't reach my database right now. Nothing of yours is lost; please try again in a minute.
queue-newer-database = The database belongs to a newer lorabot (version { $version }). Please update this one.
queue-blob-missing = A stored file is gone: { $key }.
queue-blobs-unavailable = I can't reach my file storage right now. Please try again in a minute.
queue-worker-lost =
    { $times ->
        [one] The machine that worked on this job went away, so I stopped trying. Send the same command to start again.
       *[other] The machine that worked on this job went away { $times } times, so I stopped trying. Send the same command to start again.
    }
queue-crashed = Something broke while I worked on this, several times in the same way, so I stopped trying. The operator's log has the details under { $id }.
