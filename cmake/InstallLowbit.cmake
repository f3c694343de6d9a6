# `cmake --install build --prefix P`: the library, headers (with those that TableGen made, and the .td files
# that outside dialects include), tools and a package for find_package(Lowbit). lib/ and tools/ install their targets.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Lowbit)

install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/lowbit DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN "*.td")
install(DIRECTORY ${CMAKE_BINARY_DIR}/include/lowbit DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.inc" PATTERN CMakeFiles EXCLUDE)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT LowbitTargets DESTINATION ${package})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/LowbitConfig.cmake.in
                              ${CMAKE_BINARY_DIR}/LowbitConfig.cmake INSTALL_DESTINATION ${package}
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/LowbitConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/LowbitConfig.cmake ${CMAKE_BINARY_DIR}/LowbitConfigVersion.cmake
        DESTINATION ${package})
