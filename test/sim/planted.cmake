# What test/sim/planted_run builds in a tree of its own.
add_custom_target(planted_simulators DEPENDS maitred_sim maitred_sim_gossip)
