# What test/sim/planted_run builds in a tree of its own.
add_custom_target(planted_simulators DEPENDS maitred_sim maitred_sim_gossip)
foreach(test test_raft_suspect test_store_damage test_store_log test_store_rot)
  if(TARGET ${test})
    add_dependencies(planted_simulators ${test})
  endif()
endforeach()

# The simulators' eyes are guarded themselves: the catalogue is whole, and what is seen quickly is still seen.
add_test(NAME sim_planted_catalogue COMMAND maitred_sim --plants)
if(NOT MAITRED_PLANTED AND NOT MAITRED_SANITIZE AND NOT MAITRED_VALGRIND)
  add_test(NAME sim_planted_quick
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/planted_run --quick --seconds 20 --tree ${CMAKE_BINARY_DIR}/planted)
  set_tests_properties(sim_planted_quick PROPERTIES TIMEOUT 1200)
endif()
