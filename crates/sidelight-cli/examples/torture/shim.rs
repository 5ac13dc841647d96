//! What the system does to a process: kills at a chosen call, faults of the disk, a clock that jumps, a disk that is small.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is done to a process.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    None,
    /// No file grows beyond so many blocks of 512 bytes.
    Blocks(u64),
    /// Killed at the nth call that touches a file.
    Kill(u64),
    /// The nth such call fails with `EIO`.
    Error(u64),
    /// From the nth such call on the disk is full.
    Full(u64),
    /// Reads and writes do a part, or are interrupted; a seed.
    Short(u64),
    /// The calendar's clock jumps; a seed.
    Time(u64),
    /// Nothing, but their number is written here.
    Count(PathBuf),
}

impl Trouble {
    /// The program under this trouble.
    pub(crate) fn command(&self, program: &Path, shim: Option<&Shim>) -> Command {
        let word = match self {
            Self::None => return Command::new(program),
            Self::Blocks(blocks) => {
                let mut command = Command::new("sh");
                // Writing beyond the limit is then an error, as it is on a full disk, not the end of the process.
                let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
                command.args(["-c", &limited]).arg(program);
                return command;
            }
            Self::Kill(nth) => format!("kill:{nth}"),
            Self::Error(nth) => format!("error:{nth}"),
            Self::Full(nth) => format!("full:{nth}"),
            Self::Short(seed) => format!("short:{seed}"),
            Self::Time(seed) => format!("time:{seed}"),
            Self::Count(file) => format!("count:{}", file.display()),
        };
        let mut command = Command::new(program);
        if let Some(Shim(library)) = shim {
            command.env("LD_PRELOAD", library).env("TORTURE", word);
        }
        command
    }
}

/// The library of `shim.c`, which comes before the C library.
#[derive(Debug)]
pub(crate) struct Shim(PathBuf);

impl Shim {
    /// Compiles it; in words why that is not possible here.
    pub(crate) fn compile(folder: &Path) -> Result<Self, String> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            return Err("the calls of a process are changed on Linux with glibc only".to_owned());
        }
        let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
        fs::write(&source, include_str!("shim.c")).map_err(|error| error.to_string())?;
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-o"]);
        let made = command.arg(&library).arg(&source).output();
        match made {
            Err(error) => Err(format!("no C compiler `cc`: {error}")),
            Ok(made) if !made.status.success() => {
                Err(String::from_utf8_lossy(&made.stderr).into_owned())
            }
            Ok(_) => Ok(Self(library)),
        }
    }
}

/// A file system of a few KiB in memory; gone when it goes out of scope.
#[derive(Debug)]
pub(crate) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts it on an empty folder, which is root's to do.
    pub(crate) fn mount(at: &'a Path, kib: u64) -> io::Result<Self> {
        let size = format!("size={kib}k");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(at))?;
        Ok(Self(at))
    }

    /// Room for everything.
    pub(crate) fn grow(&self) -> io::Result<()> {
        run(Command::new("mount")
            .args(["-o", "remount,size=1g"])
            .arg(self.0))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg(self.0));
    }
}

/// Whether a [`SmallDisk`] can be had.
pub(crate) fn can_mount(at: &Path) -> bool {
    SmallDisk::mount(at, 64).is_ok()
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{command:?}: {status}"))),
    }
}
