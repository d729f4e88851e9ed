# The simulation of gossip alone, with a binary of its own.
add_executable(maitred_sim_gossip sim_gossip.c sim_gossip_world.c sim_gossip_oracle.c sim_gossip_phases.c planted.c)
target_link_libraries(maitred_sim_gossip PRIVATE gossip generated runtime)
add_test(NAME sim_gossip COMMAND maitred_sim_gossip --seed 1 --seeds 30)
set_tests_properties(sim_gossip PROPERTIES TIMEOUT 1200)
