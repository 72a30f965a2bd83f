// SPDX-License-Identifier: BSD-3-Clause
//! Finds libiovageom: in IOVAGEOM_LIB_DIR if that is set (with IOVAGEOM_STATIC=1 its static form),
//! else by pkg-config.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=IOVAGEOM_LIB_DIR");
    println!("cargo:rerun-if-env-changed=IOVAGEOM_STATIC");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    if let Ok(folder) = env::var("IOVAGEOM_LIB_DIR") {
        let kind = match env::var("IOVAGEOM_STATIC") {
            Ok(value) if value == "1" => "static",
            _ => "dylib",
        };
        println!("cargo:rustc-link-search=native={}", folder);
        println!("cargo:rustc-link-lib={}=iovageom", kind);
        return;
    }
    let output = Command::new("pkg-config")
        .args(["--libs", "iovageom"])
        .output()
        .expect("pkg-config can be run; or set IOVAGEOM_LIB_DIR");
    assert!(
        output.status.success(),
        "pkg-config does not know iovageom: set PKG_CONFIG_PATH or IOVAGEOM_LIB_DIR"
    );
    for word in String::from_utf8_lossy(&output.stdout).split_whitespace() {
        if let Some(folder) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={}", folder);
        } else if let Some(name) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={}", name);
        }
    }
}
