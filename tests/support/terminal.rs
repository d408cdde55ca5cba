//! A terminal that a program writes to, and that is read here.

use std::ffi::{CStr, c_char, c_int};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::FromRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::thread;

/// Runs a program whose standard output and standard error are terminals of their own, and gives
/// what each was sent. A terminal ends each line with a carriage return too; it is left out.
pub fn on_terminals(command: &mut Command) -> [String; 2] {
    let [(out, its_out), (err, its_err)] = [pair(), pair()];
    let mut child = command.stdin(Stdio::null()).stdout(its_out).stderr(its_err).spawn().unwrap();
    // The command holds the other ends, which must be closed for these to end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let texts = [out, err].map(|end| thread::spawn(move || read(end)));
    child.wait().unwrap();
    texts.map(|text| text.join().unwrap())
}

/// All that is sent. Where the other end is closed, reading fails.
fn read(mut end: File) -> String {
    let mut bytes = Vec::new();
    let _closed = end.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

/// Both ends of a new terminal: that of its screen, and that of a program.
fn pair() -> (File, File) {
    // The standard library links the C library, but has no names for these.
    unsafe extern "C" {
        fn posix_openpt(flags: c_int) -> c_int;
        fn grantpt(fd: c_int) -> c_int;
        fn unlockpt(fd: c_int) -> c_int;
        fn ptsname_r(fd: c_int, name: *mut c_char, length: usize) -> c_int;
    }
    const O_RDWR: c_int = 2;
    const O_NOCTTY: c_int = 0o400;
    // SAFETY: it takes numbers and gives a number.
    let fd = unsafe { posix_openpt(O_RDWR | O_NOCTTY) };
    assert!(fd >= 0, "this machine gives no terminal");
    // SAFETY: it was opened just now, and nothing else owns it.
    let screen = unsafe { File::from_raw_fd(fd) };
    let ready = |failed: c_int| assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: `fd` is open.
    ready(unsafe { grantpt(fd) });
    // SAFETY: the same.
    ready(unsafe { unlockpt(fd) });
    let mut name = [0; 64];
    // SAFETY: `fd` is open, and `name` as long as it is said to be.
    ready(unsafe { ptsname_r(fd, name.as_mut_ptr(), name.len()) });
    // SAFETY: it was filled with a text that ends in 0.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_str().unwrap();
    let program = OpenOptions::new().read(true).write(true).custom_flags(O_NOCTTY).open(name);
    (screen, program.unwrap())
}
