"""How a run is shown while it goes on: `state` follows the events, one file a way of showing them.

Events, each with its facts, in the order they come:
    run      run (RunRecord), plan, store
    prepare  artefact, state (cached, making, made, failed, unsupported, missing), seconds, done, of (how
             many are settled of all that are needed), bytes (of one that is cached or made)
    making   artefacts (name → seconds so far), done, of        once a second while something is being made
    prepared made, cached, failed, unsupported, missing, seconds, cache_bytes          once, in the end
    note     text                           (a damaged artefact is made anew)
    wait     text                           (another measurement holds the lock)
    outlook  text, seconds, width           what measuring will take, and how sure it will be
    replicate  step (bench.stats.stopping.Step), parts
    part     part, parts, replicate
    case     case, phase (load, warm up, verify), replicate
    burst    case, round, rounds            just before the burst: nothing is drawn until the next event
    block    block
    done     run
"""
