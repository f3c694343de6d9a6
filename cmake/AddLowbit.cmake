# add_lowbit_library(Name source... [DEPENDS tablegen-target...])
# One folder of lib/. Its objects go into the one shared library, libLowbit.so: a second copy of the
# dialect in a process that has one (a tool and a plug-in) is fatal.
function(add_lowbit_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_library(${name} OBJECT ${ARG_UNPARSED_ARGUMENTS})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  set_property(GLOBAL APPEND PROPERTY LOWBIT_LIBRARIES ${name})
endfunction()

# add_lowbit_tool(name source...): an executable that links libLowbit.so.
function(add_lowbit_tool name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE Lowbit)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# add_lowbit_unittest(name source...): a GoogleTest program, built into build/test/unit.
function(add_lowbit_unittest name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE Lowbit GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/unit)
endfunction()
