//! The virtual environment that the peers, and the Python handlers of all sides, run in.

use std::{
    cell::OnceCell,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    rc::Rc,
};

use anyhow::{Context, ensure};

/// Made when it is first needed, and made anew when another version of anything is asked for.
pub(crate) struct Venv {
    python: OnceCell<PathBuf>,
}

/// Every package with its version.
const REQUIREMENTS: &str = include_str!("../../../peers/requirements.txt");

impl Venv {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            python: OnceCell::new(),
        })
    }

    /// Its interpreter.
    pub(crate) fn python(&self) -> anyhow::Result<&Path> {
        if let Some(python) = self.python.get() {
            return Ok(python);
        }
        let python = make(&checkout().join("target/bench-venv"))?;
        Ok(self.python.get_or_init(|| python))
    }
}

/// The version of a package, as it is asked for.
pub(crate) fn version(package: &str) -> &'static str {
    let mut lines = REQUIREMENTS.lines();
    let found = lines.find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
    found.unwrap_or("of no version")
}

/// The folder of the peers' programs.
pub(crate) fn programs() -> PathBuf {
    checkout().join("benches/peers")
}

/// The folder that `import outrigger` finds the Python runtime in.
pub(crate) fn runtime() -> PathBuf {
    checkout().join("sdks/python/src")
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the benches are in the workspace")
        .to_owned()
}

fn make(folder: &Path) -> anyhow::Result<PathBuf> {
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|made| made == REQUIREMENTS) {
        return Ok(python);
    }
    eprintln!("installing the peers in {}", folder.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))
        .context("cannot make a virtual environment: Debian's package is python3-venv")?;
    let requirements = folder.join("asked.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "-r",
    ]);
    run(install.arg(&requirements)).context("cannot install the peers")?;
    // Last: what is there is whole.
    fs::rename(&requirements, &stamp)?;
    Ok(python)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} ({})", said.trim(), output.status);
    Ok(())
}
