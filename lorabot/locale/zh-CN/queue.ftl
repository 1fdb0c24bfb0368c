# 队列自己要说的话。
queue-already-queued =
    { $limit ->
        [1] 你已经有一个任务在进行：{ $job }。请等它完成，或先取消它。
       *[other] 你已经有 { $limit } 个任务在进行，最早的是 { $job }。请等其中一个完成，或先取消一个。
    }
queue-no-such-job = 没有叫 { $job } 的任务。用 /jobs 查看你的任务。
queue-not-yours = { $job } 是别人的任务，只有本人或管理员可以这样做。
queue-already-finished =
    { $state ->
        [succeeded] { $job } 已经完成，文件就在上面。
        [cancelled] { $job } 之前已经取消了。
       *[failed] { $job } 已经结束：它失败了。
    }
queue-wrong-state =
    { $state ->
        [running] { $job } 正在运行，现在不能这样做。
        [held] { $job } 已经挂起了。
        [queued] { $job } 正在排队，没有挂起。
       *[other] { $job } 已经结束，不能再这样做了。
    }
queue-no-proposal = 那是很久以前的，或已经取消了。请再问一次；`/help` 告诉你怎么做。
queue-already-started = 那一个已经在进行了：`{ $job }`。用 `/status` 查看进展。
queue-no-draft = 还没有可以训练的照片。请先发几张，或发一个 zip。
queue-unavailable = 我现在连不上数据库。你的东西都没有丢，请过一分钟再试。
queue-newer-database = 这个数据库属于更新的 lorabot（版本 { $version }）。请先更新这一个。
queue-blob-missing = 一个保存的文件不见了：{ $key }。
queue-blobs-unavailable = 我现在连不上文件存储，请过一分钟再试。
queue-worker-lost = 处理这个任务的机器失联了 { $times } 次，所以我不再重试。再发一次同样的命令就可以重新开始。
queue-crashed = 处理这个任务时多次以同样的方式出错，所以我不再重试。详情在运维日志里，编号 { $id }。
