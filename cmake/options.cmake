# SPDX-License-Identifier: BSD-3-Clause

# How our own C targets are compiled. Nothing here reaches a consumer's targets.
function(iovageom_compile target)
  target_compile_features(${target} PRIVATE c_std_11)
  set_target_properties(${target} PROPERTIES C_EXTENSIONS OFF C_VISIBILITY_PRESET hidden)
  if(PROJECT_IS_TOP_LEVEL AND CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(${target} PRIVATE
      -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wcast-qual
      -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wunused-macros -Wvla)
    if(IOVAGEOM_WERROR)
      target_compile_options(${target} PRIVATE -Werror)
    endif()
  endif()
endfunction()
