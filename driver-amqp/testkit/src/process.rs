//! What this process holds open.

/// The sockets that it has open.
pub fn sockets() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("a list of descriptors");
    let is_socket = |path: std::path::PathBuf| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    descriptors.filter(|entry| entry.as_ref().is_ok_and(|entry| is_socket(entry.path()))).count()
}

/// The threads of it that drive a connection of lapin's.
pub fn io_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).filter(|name| name.trim() == "lapin-io-loop").count()
}
