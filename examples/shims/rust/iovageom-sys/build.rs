// SPDX-License-Identifier: BSD-3-Clause
//! Finds libiovageom, or compiles it: see README.md for the order.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    for variable in ["IOVAGEOM_LIB_DIR", "IOVAGEOM_STATIC", "PKG_CONFIG_PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    if let Ok(folder) = env::var("IOVAGEOM_LIB_DIR") {
        let kind = match env::var("IOVAGEOM_STATIC") {
            Ok(value) if value == "1" => "static",
            _ => "dylib",
        };
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-lib={kind}=iovageom");
    } else if env::var_os("CARGO_FEATURE_SYSTEM").is_some() {
        link_system();
    } else {
        compile();
    }
}

fn link_system() {
    // Before 1.0 each minor version may change the interface; a later patch may not.
    let number = |name: &str| env::var(format!("CARGO_PKG_VERSION_{name}")).unwrap();
    let (major, minor) = (number("MAJOR"), number("MINOR"));
    let next = if major == "0" {
        format!("0.{}", minor.parse::<u32>().unwrap() + 1)
    } else {
        format!("{}", major.parse::<u32>().unwrap() + 1)
    };
    let wanted = [format!("iovageom >= {major}.{minor}"), format!("iovageom < {next}")];
    let output = Command::new(env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into()))
        .arg("--libs")
        .args(&wanted)
        .output()
        .expect("pkg-config can be run; or leave the feature `system` out");
    assert!(
        output.status.success(),
        "pkg-config does not know {wanted:?}: set PKG_CONFIG_PATH, or leave the feature `system` out"
    );
    for word in String::from_utf8_lossy(&output.stdout).split_whitespace() {
        if let Some(folder) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(name) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={name}");
        }
    }
}

/// Which files the library has is said in lib/CMakeLists.txt, and nowhere else.
fn compile() {
    let c = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("c");
    let list = c.join("lib/CMakeLists.txt");
    let text =
        fs::read_to_string(&list).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
    let sources: Vec<PathBuf> = text
        .split("set(sources")
        .nth(1)
        .and_then(|rest| rest.split(')').next())
        .expect("lib/CMakeLists.txt lists the sources")
        .split_whitespace()
        .map(|name| c.join("lib").join(name))
        .collect();
    println!("cargo:rerun-if-changed={}", c.join("lib").display());
    println!("cargo:rerun-if-changed={}", c.join("include").display());
    println!("cargo:include={}", c.join("include").display());
    run_compiler(&sources, &c.join("include"));
}

#[cfg(feature = "cc")]
fn run_compiler(sources: &[PathBuf], include: &Path) {
    cc::Build::new()
        .files(sources)
        .include(include)
        .flag_if_supported("-std=c11")
        .opt_level(2)
        .warnings(false)
        .compile("iovageom");
}

/// What `cc` would do, for Unix: where no crate can be had.
#[cfg(not(feature = "cc"))]
fn run_compiler(sources: &[PathBuf], include: &Path) {
    let target = env::var("TARGET").unwrap();
    let tool = |name: &str, otherwise: &str| {
        let own = format!("{name}_{}", target.replace('-', "_"));
        println!("cargo:rerun-if-env-changed={name}");
        println!("cargo:rerun-if-env-changed={own}");
        env::var(own).or_else(|_| env::var(name)).unwrap_or_else(|_| otherwise.into())
    };
    let run = |command: &mut Command| {
        let status = command.status();
        assert!(matches!(status, Ok(status) if status.success()), "failed: {command:?}");
    };
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let archive = out.join("libiovageom.a");
    let compiler = tool("CC", if target.contains("musl") { "musl-gcc" } else { "cc" });
    let flags = tool("CFLAGS", "");
    let mut objects = Vec::new();
    for source in sources {
        let object = out.join(format!("{}.o", objects.len()));
        run(Command::new(&compiler)
            .args(["-std=c11", "-O2", "-fPIC", "-ffunction-sections"])
            .args(flags.split_whitespace())
            .arg("-I")
            .arg(include)
            .arg("-c")
            .arg(source)
            .arg("-o")
            .arg(&object));
        objects.push(object);
    }
    let _ = fs::remove_file(&archive);
    run(Command::new(tool("AR", "ar")).arg("crs").arg(&archive).args(&objects));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static=iovageom");
}
