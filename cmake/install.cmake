# SPDX-License-Identifier: BSD-3-Clause
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/iovageom)

install(DIRECTORY include/iovageom DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
set(installed)
if(IOVAGEOM_SHARED)
  list(APPEND installed iovageom iovageom_guest)
endif()
if(IOVAGEOM_STATIC)
  list(APPEND installed iovageom_static iovageom_guest_static)
endif()
install(TARGETS ${installed} EXPORT iovageomTargets)
install(EXPORT iovageomTargets NAMESPACE iovageom:: DESTINATION ${config_dir})

configure_package_config_file(cmake/iovageomConfig.cmake.in
  ${PROJECT_BINARY_DIR}/iovageomConfig.cmake INSTALL_DESTINATION ${config_dir})
# Before 1.0 a new minor version may break what compiled against the one before.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/iovageomConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/iovageomConfig.cmake
  ${PROJECT_BINARY_DIR}/iovageomConfigVersion.cmake DESTINATION ${config_dir})

# The .pc file finds its prefix from where it lies, so that the tree may be moved; not so where the
# packager gave absolute directories.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
  set(pc_prefix "\${pcfiledir}/${pc_up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
foreach(template IN ITEMS iovageom.pc.in cmake/iovageom-guest.pc.in)
  cmake_path(GET template STEM LAST_ONLY name)
  string(REGEX REPLACE "\\.pc$" "" name ${name})
  configure_file(${template} ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

file(GLOB documents CONFIGURE_DEPENDS docs/*.md docs/*.svg)
install(FILES LICENSE ${documents} DESTINATION ${CMAKE_INSTALL_DOCDIR})

# What was installed from this build folder is known by its manifest.
if(PROJECT_IS_TOP_LEVEL)
  add_custom_target(uninstall COMMENT "Removing what was installed"
    COMMAND ${CMAKE_COMMAND} -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
endif()
