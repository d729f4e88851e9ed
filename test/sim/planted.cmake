# What test/sim/planted_run builds in a tree of its own.
add_custom_target(planted_simulators DEPENDS maitred_sim maitred_sim_gossip)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/planted.c)
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/planted.c units REGEX "UNIT \\(\"")
list(TRANSFORM units REPLACE ".*UNIT \\(\"([a-z_]+)\"\\).*" "\\1")
list(REMOVE_DUPLICATES units)
foreach(test ${units}) # those that the catalogue names
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
