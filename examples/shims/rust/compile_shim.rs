// SPDX-License-Identifier: BSD-3-Clause
// Compiles one C file of a shim into a static library, with nothing but `cc` and `ar`: the shims
// take no crate from anywhere. CC, AR and CFLAGS are honoured. Included by the shims' build.rs.

fn compile_shim(name: &str) {
    use std::env;
    use std::path::PathBuf;
    use std::process::Command;

    let run = |command: &mut Command| {
        let status = command.status();
        assert!(
            matches!(status, Ok(status) if status.success()),
            "failed: {:?}",
            command
        );
    };
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let include = env::var("IOVAGEOM_INCLUDE_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|_| here.join("../../../../include"));
    let source = here.join("..").join(format!("{}.c", name));
    let header = here.join("..").join(format!("{}.h", name));
    let object = out.join(format!("{}.o", name));
    let archive = out.join(format!("lib{}.a", name));
    for variable in ["CC", "AR", "CFLAGS", "IOVAGEOM_INCLUDE_DIR"] {
        println!("cargo:rerun-if-env-changed={}", variable);
    }
    println!("cargo:rerun-if-changed={}", source.display());
    println!("cargo:rerun-if-changed={}", header.display());

    let _ = std::fs::remove_file(&archive);
    let flags = env::var("CFLAGS").unwrap_or_default();
    run(Command::new(env::var("CC").unwrap_or_else(|_| "cc".into()))
        .args(["-std=c11", "-O2", "-fPIC", "-Wall", "-Wextra"])
        .args(flags.split_whitespace())
        .arg("-I")
        .arg(include)
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(&object));
    run(Command::new(env::var("AR").unwrap_or_else(|_| "ar".into()))
        .arg("crs")
        .arg(&archive)
        .arg(&object));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static={}", name);
}
