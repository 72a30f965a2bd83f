// SPDX-License-Identifier: BSD-3-Clause
include!("../../rust/compile_shim.rs");

fn main() {
    compile_shim("iovageom_crosvm");
}
