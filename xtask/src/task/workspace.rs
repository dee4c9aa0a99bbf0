//! What cargo says of this workspace.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use xtask::process::command::cargo;

/// The part of `cargo metadata` that the tasks need.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    /// Where cargo writes what it makes.
    pub(crate) target_directory: PathBuf,
}

/// One package of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// As in `Cargo.toml`.
    pub(crate) name: String,
    /// The least Rust release that it promises to build with.
    rust_version: Option<String>,
    manifest_path: PathBuf,
    /// The registries that it may be published to: none of them for `publish = false`, and every one if absent.
    publish: Option<Vec<String>>,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// When cargo cannot be started, or its answer is not understood.
    pub(crate) fn read() -> Result<Self> {
        let output =
            cargo(&["metadata", "--no-deps", "--format-version=1"]).output().context("could not start cargo")?;
        serde_json::from_slice(&output.stdout).context("the answer of cargo metadata is not understood")
    }

    /// Every package, published or not.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The names of the packages that are published, sorted.
    pub(crate) fn published(&self) -> Vec<&str> {
        let published = self.packages.iter().filter(|package| package.is_published());
        let mut names: Vec<_> = published.map(|package| package.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The least Rust release that the published packages promise to build with. They share it.
    ///
    /// # Errors
    /// When they name none.
    pub(crate) fn rust_version(&self) -> Result<&str> {
        let package = self.packages.iter().find(|package| package.is_published()).context("no package is published")?;
        package.rust_version.as_deref().with_context(|| format!("{} names no rust-version", package.name))
    }
}

impl Package {
    /// The folder of its sources.
    ///
    /// # Errors
    /// When its manifest lies in no folder.
    pub(crate) fn sources(&self) -> Result<PathBuf> {
        Ok(self.manifest_path.parent().context("a manifest lies in a folder")?.join("src"))
    }

    fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_no_registry_may_have_is_not_published() {
        let workspace = Workspace::read().unwrap();
        let drivers = ["oslo-messaging", "oslo-messaging-amqp", "oslo-messaging-conformance", "oslo-messaging-fake"];
        let published = [&drivers[..], &["oslo-messaging-macros"]].concat();
        assert_eq!(workspace.published(), published);
        assert!(workspace.packages().iter().any(|package| package.name == "xtask"));
        assert!(workspace.rust_version().unwrap().starts_with("1."));
    }
}
