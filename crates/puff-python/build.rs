//! Lets `cargo run` and `cargo test` find libpython without anybody setting `LD_LIBRARY_PATH`.
//!
//! Cargo puts a library folder that a build script names on the loader's path of what it runs, but only
//! if the folder lies below `target/`. So libpython gets a link in this script's own output folder.
//! A binary that runs without cargo finds libpython in the system's folders, or by an rpath: a `build.rs`
//! with `pyo3_build_config::add_libpython_rpath_link_args()` in its own crate adds it.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let config = pyo3_build_config::get();
    let (Some(lib_dir), Ok(out_dir)) = (config.lib_dir(), std::env::var("OUT_DIR")) else {
        return;
    };
    if std::env::var_os("PYO3_BUILD_EXTENSION_MODULE").is_some() {
        return;
    }
    let out_dir = PathBuf::from(out_dir);
    if link_libpython(Path::new(lib_dir), &out_dir).is_ok() {
        println!("cargo:rustc-link-search=native={}", out_dir.display());
    }
}

fn link_libpython(lib_dir: &Path, out_dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(lib_dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.starts_with("libpython") && text.contains(".so") {
            let link = out_dir.join(&name);
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(entry.path(), link)?;
        }
    }
    Ok(())
}
