/* Every failpoint: POINT (id, name, what its caller does when it says "fail", when it is passed, where it stands).
 *
 * Included several times, each time with another POINT. Names are for people and scripts: they stay.
 * May: FAILPOINT_PASS (nothing to fail), FAILPOINT_ERROR (the operation fails as it would by itself), FAILPOINT_DROP (the
 * message is lost without a word).
 * When: what a test has to do for the point to be passed; test/cluster/failpoints.bats and scripts/failpoints do these:
 *   load      calls through this and through other nodes       create    maitred create-cluster
 *   write     changed state is written back, logs are cut      found     the first start of a folder
 *   feed      it leads, and feeds a follower by a snapshot     start     any start
 *   fed       it is fed by a snapshot                          torn      a start after a torn end of the log
 *   drain     SIGTERM                                          mend      a start after a failed read of state
 *   rot       a start after a bit of its log was flipped        index     a start after its log's index was damaged
 *   stale     a start with an older copy of its folder         stranger  another node starts with an emptied folder
 */

/* ---- the log: what must be on disk before anybody hears of it */
POINT (PERSIST_ENTRIES_BEFORE, "persist.entries.before", PASS, "load", "entries go into the open turn")
POINT (PERSIST_ENTRIES_AFTER, "persist.entries.after", PASS, "load", "entries are in the open turn")
POINT (PERSIST_VOTE_BEFORE, "persist.vote.before", PASS, "load", "term and vote go into the open turn")
POINT (PERSIST_VOTE_AFTER, "persist.vote.after", PASS, "load", "term and vote are in the open turn")
POINT (PERSIST_CUT_BEFORE, "persist.cut.before", PASS, "write", "the cut of a log goes into the open turn")
POINT (PERSIST_CUT_AFTER, "persist.cut.after", PASS, "write", "the cut of a log is in the open turn")
POINT (PERSIST_SUSPECT_BEFORE, "persist.suspect.before", ERROR, "stale", "a replica that forgot something is marked")
POINT (PERSIST_SUSPECT_AFTER, "persist.suspect.after", PASS, "stale", "... and the mark is on disk")
POINT (PERSIST_TRUST_BEFORE, "persist.trust.before", ERROR, "torn", "the last suspect is filled: the mark goes")
POINT (PERSIST_TRUST_AFTER, "persist.trust.after", PASS, "torn", "... and is gone")
POINT (TURN_SUBMIT_BEFORE, "turn.submit.before", PASS, "load", "a turn is closed and goes to the disk")
POINT (TURN_RELEASE_BEFORE, "turn.release.before", PASS, "load", "a turn is synced, its acknowledgements are held back")
POINT (TURN_RELEASE_AFTER, "turn.release.after", PASS, "load", "... and may leave")
POINT (LOG_WRITE_BEFORE, "log.write.before", ERROR, "load", "one synced write for all shards")
POINT (LOG_WRITE_AFTER, "log.write.after", PASS, "load", "... which is on disk, but not in the accounts")
POINT (LOG_MARK_BEFORE, "log.mark.before", ERROR, "load", "the number of the synced turn goes into MARK")
POINT (LOG_MARK_AFTER, "log.mark.after", PASS, "load", "... and is there")
POINT (LOG_COLLECT_BEFORE, "log.collect.before", PASS, "write", "this turn's write drops turns that nobody needs")
POINT (TORN_CUT_BEFORE, "torn.cut.before", ERROR, "torn", "the torn end of a log is cut; the folder is suspect")
POINT (TORN_CUT_AFTER, "torn.cut.after", PASS, "torn", "... and is cut")
POINT (SALVAGE_BEFORE, "salvage.before", PASS, "rot", "what is left of a rotten log is about to take its place")
POINT (SALVAGE_AFTER, "salvage.after", PASS, "rot", "... and has; the turns that are missing are not closed yet")
POINT (REBUILD_COPY, "rebuild.copy", ERROR, "index", "what is left of a log database goes into a new one")
POINT (REBUILD_ASIDE, "rebuild.aside", PASS, "index", "the damaged log has its other name, the new one is whole")
POINT (REBUILD_FILLED, "rebuild.filled", PASS, "index", "... and has its name, the damaged one is kept aside next")

/* ---- messages out */
POINT (SEND_RAFT_BEFORE, "send.raft.before", DROP, "load", "a Raft message goes to a peer's outbox")
POINT (SEND_RAFT_AFTER, "send.raft.after", PASS, "load", "... and is in it")
POINT (SEND_CHUNK_BEFORE, "send.chunk.before", DROP, "feed", "a snapshot's chunk goes to a peer's outbox")
POINT (SEND_CHUNK_AFTER, "send.chunk.after", PASS, "feed", "... and is in it")
POINT (SEND_ACK_BEFORE, "send.ack.before", DROP, "fed", "the acknowledgement of a chunk")
POINT (SEND_ACK_AFTER, "send.ack.after", PASS, "fed", "... is in the outbox")
POINT (SEND_CALL_BEFORE, "send.call.before", ERROR, "load", "a client's call is forwarded to its leader")
POINT (SEND_CALL_AFTER, "send.call.after", PASS, "load", "... is in the outbox")
POINT (SEND_ANSWER_BEFORE, "send.answer.before", DROP, "load", "the answer to a call that another node forwarded")
POINT (SEND_ANSWER_AFTER, "send.answer.after", PASS, "load", "... is in the outbox")
POINT (SEND_FRAME_BEFORE, "send.frame.before", ERROR, "load", "a frame goes to ZeroMQ; failing: it is not taken")
POINT (SEND_FRAME_AFTER, "send.frame.after", PASS, "load", "... and was taken")
POINT (SEND_REPLY_BEFORE, "send.reply.before", DROP, "load", "the reply to a client")
POINT (SEND_REPLY_AFTER, "send.reply.after", PASS, "load", "... is with ZeroMQ")
POINT (SEND_GOSSIP_BEFORE, "send.gossip.before", DROP, "load", "a gossip message")
POINT (SEND_GOSSIP_AFTER, "send.gossip.after", PASS, "load", "... is with ZeroMQ")
POINT (SEND_NOTICE_BEFORE, "send.notice.before", DROP, "stranger", "a node with a foreign folder is told so")

/* ---- messages in */
POINT (RECEIVE_REQUEST, "receive.request", DROP, "load", "a client's call")
POINT (RECEIVE_FRAME, "receive.frame", DROP, "load", "a peer's frame")
POINT (RECEIVE_RAFT, "receive.raft", DROP, "load", "a Raft message of it")
POINT (RECEIVE_CHUNK, "receive.chunk", DROP, "fed", "a snapshot's chunk")
POINT (RECEIVE_ACK, "receive.ack", DROP, "feed", "the acknowledgement of a chunk")
POINT (RECEIVE_CALL, "receive.call", DROP, "load", "a forwarded call")
POINT (RECEIVE_ANSWER, "receive.answer", DROP, "load", "the answer to a forwarded call")
POINT (RECEIVE_GOSSIP, "receive.gossip", DROP, "load", "a gossip message")

/* ---- committed entries into the state */
POINT (APPLY_BEFORE, "apply.before", PASS, "load", "a shard's turn ends: what is committed is applied")
POINT (APPLY_CHANGE_BEFORE, "apply.change.before", PASS, "load", "an entry changes one key of the state")
POINT (APPLY_CHANGE_AFTER, "apply.change.after", PASS, "load", "... has changed it, others may follow")
POINT (APPLY_AFTER, "apply.after", PASS, "load", "applied, nobody has heard of it")
POINT (STATE_READ, "state.read", ERROR, "load", "failing: a read of the state failed")

/* ---- state to disk */
POINT (FLUSH_BEGIN, "flush.begin", PASS, "write", "a replica is chosen for write-back")
POINT (FLUSH_HAND_OVER, "flush.hand_over", PASS, "write", "a round's changes are copied and go to the flusher")
POINT (STATE_FILE_BEFORE, "state.file.before", ERROR, "write", "a state file is finished and synced")
POINT (STATE_FILE_AFTER, "state.file.after", PASS, "write", "... lies in ingest/")
POINT (STATE_INGEST_BEFORE, "state.ingest.before", ERROR, "write", "the state database takes files in")
POINT (STATE_INGEST_AFTER, "state.ingest.after", PASS, "write", "... has them")
POINT (FLUSH_DONE_BEFORE, "flush.done.before", PASS, "write", "the tables hear that a round is on disk")
POINT (FLUSH_DONE_AFTER, "flush.done.after", PASS, "write", "... have heard it, logs are cut behind it")
POINT (STATE_SWEEP_BEFORE, "state.sweep.before", ERROR, "start", "generations that are not live are looked for")
POINT (GENERATION_DELETE_BEFORE, "generation.delete.before", ERROR, "swept", "a dead generation is deleted")
POINT (GENERATION_DELETE_AFTER, "generation.delete.after", PASS, "swept", "... is deleted")

/* ---- snapshots */
POINT (SNAPSHOT_OPEN_BEFORE, "snapshot.open.before", ERROR, "feed", "a snapshot of the written-back state is opened")
POINT (SNAPSHOT_OPEN_AFTER, "snapshot.open.after", PASS, "feed", "... is open, nothing was sent")
POINT (SNAPSHOT_READ_BEFORE, "snapshot.read.before", ERROR, "feed", "the next chunk is read")
POINT (SNAPSHOT_READ_AFTER, "snapshot.read.after", PASS, "feed", "... was read")
POINT (SNAPSHOT_BEGIN_BEFORE, "snapshot.begin.before", ERROR, "fed", "room is made for a snapshot that is offered")
POINT (SNAPSHOT_BEGIN_AFTER, "snapshot.begin.after", PASS, "fed", "... is made")
POINT (SNAPSHOT_CHUNK_BEFORE, "snapshot.chunk.before", ERROR, "fed", "a chunk goes into a file")
POINT (SNAPSHOT_CHUNK_AFTER, "snapshot.chunk.after", PASS, "fed", "... is in it")
POINT (
    SNAPSHOT_FINISH_BEFORE, "snapshot.finish.before", ERROR, "fed", "the whole snapshot goes into the state database")
POINT (SNAPSHOT_SWITCH_BEFORE, "snapshot.switch.before", ERROR, "fed", "... is there; one synced turn makes it live")
POINT (SNAPSHOT_SWITCH_AFTER, "snapshot.switch.after", PASS, "fed", "... it is live on disk, not yet in memory")
POINT (SNAPSHOT_LOAD_BEFORE, "snapshot.load.before", ERROR, "fed", "the new state is loaded")
POINT (SNAPSHOT_LOAD_AFTER, "snapshot.load.after", PASS, "fed", "... is loaded, Raft does not know yet")

/* ---- files of our own */
POINT (FILE_WRITE_BEFORE, "file.write.before", ERROR, "start", "a small file is written beside the old one")
POINT (FILE_SYNC_BEFORE, "file.sync.before", ERROR, "start", "... is synced")
POINT (FILE_RENAME_BEFORE, "file.rename.before", ERROR, "start", "... takes its name")
POINT (FILE_RENAME_AFTER, "file.rename.after", PASS, "start", "... has it, its folder is not synced")
POINT (FILE_FOLDER_BEFORE, "file.folder.before", ERROR, "start", "a folder is synced")
POINT (FILE_REMOVE_BEFORE, "file.remove.before", ERROR, "torn", "a small file is removed")
POINT (FILE_REMOVE_AFTER, "file.remove.after", PASS, "torn", "... is removed, its folder is not synced")
POINT (IDENTITY_BEFORE, "identity.write.before", ERROR, "found", "IDENTITY is written")
POINT (IDENTITY_AFTER, "identity.write.after", PASS, "found", "... is on disk")
POINT (SUSPECT_BEFORE, "suspect.write.before", ERROR, "torn", "SUSPECT is written")
POINT (SUSPECT_AFTER, "suspect.write.after", PASS, "torn", "... is on disk")
POINT (SHAPE_BEFORE, "shape.write.before", ERROR, "found", "files/shape is written")
POINT (SHAPE_AFTER, "shape.write.after", PASS, "found", "... is on disk")
POINT (PEERS_BEFORE, "peers.write.before", ERROR, "found", "files/peers: a node's folder is met for the first time")
POINT (PEERS_AFTER, "peers.write.after", PASS, "found", "... is on disk")
POINT (INCARNATION_BEFORE, "incarnation.write.before", ERROR, "start", "files/incarnation: a start gets its number")
POINT (INCARNATION_AFTER, "incarnation.write.after", PASS, "start", "... is on disk")
POINT (KEYFILE_WRITE_BEFORE, "keyfile.write.before", ERROR, "create", "a key or configuration file is written")
POINT (KEYFILE_LINK_BEFORE, "keyfile.link.before", ERROR, "create", "... takes its name")
POINT (KEYFILE_LINK_AFTER, "keyfile.link.after", PASS, "create", "... has it, its folder is not synced")

/* ---- start */
POINT (START_FOLDER, "start.folder", PASS, "start", "the folder is locked and its databases are open")
POINT (START_LOG_BEFORE, "start.log.before", ERROR, "start", "the log is read")
POINT (START_LOG_AFTER, "start.log.after", PASS, "start", "... was read")
POINT (START_FOUND_BEFORE, "start.found.before", ERROR, "found", "the first replicas are founded")
POINT (START_FOUND_AFTER, "start.found.after", PASS, "found", "... are founded")
POINT (START_TABLE, "start.table", ERROR, "start", "a replica's state is loaded")
POINT (START_REPLICA, "start.replica", PASS, "start", "a replica is opened")
POINT (START_THREADS, "start.threads", ERROR, "start", "everything is there but the threads")
POINT (START_RUN, "start.run", PASS, "start", "the first turn")
POINT (START_OVER_BEFORE, "start.over.before", ERROR, "mend", "a replica with damaged state is emptied")
POINT (START_OVER_AFTER, "start.over.after", PASS, "mend", "... is empty and suspect")
POINT (MEND_COPY, "mend.copy", ERROR, "mend", "what can be read of the state goes into new files")
POINT (MEND_ASIDE, "mend.aside", ERROR, "mend", "the old state database has its other name, there is no new one")
POINT (MEND_FILLED, "mend.filled", ERROR, "mend", "the new state database is full, the old one still counts")
POINT (MEND_GONE, "mend.gone", PASS, "mend", "the new one counts, the old one is garbage")

/* ---- stop */
POINT (DRAIN_BEGIN, "drain.begin", PASS, "drain", "a planned stop begins")
POINT (DRAIN_HAND_OVER, "drain.hand_over", PASS, "drain", "leaderships are handed over")
POINT (DRAIN_OVER, "drain.over", PASS, "drain", "nothing is led here any more, no call waits")
POINT (STOP_CLOSE, "stop.close", PASS, "drain", "the databases are closed")
