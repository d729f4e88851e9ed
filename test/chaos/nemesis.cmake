# chaos_nemesis: the cluster of a chaos run, its network, its faults. scripts/chaos runs it.
file(GLOB nemesis_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/nemesis*.c ${CMAKE_CURRENT_LIST_DIR}/proxy*.c)
add_executable(chaos_nemesis ${nemesis_sources})
target_link_libraries(chaos_nemesis PRIVATE maitre)
add_dependencies(chaos_nemesis preload_chaos preload_power power_cut maitred maitre-cli)
