include(${CMAKE_CURRENT_LIST_DIR}/maitre-targets.cmake)
