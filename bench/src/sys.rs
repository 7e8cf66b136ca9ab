//! Thin wrappers over the Linux calls that the generator and the floor server share.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// CLOCK_MONOTONIC in nanoseconds: the one clock of every timestamp in this tool.
pub(crate) fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Reads any clock, among them the CPU clock of another process.
pub(crate) fn clock_ns(clock: libc::clockid_t) -> io::Result<u64> {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the time to the local variable.
    check(unsafe { libc::clock_gettime(clock, &mut ts) })?;
    Ok(ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn check_size(result: isize) -> io::Result<usize> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as usize)
    }
}

/// Raises RLIMIT_NOFILE as far as this process may, and returns the limit reached.
pub(crate) fn raise_nofile() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: writes the limit to the local variable.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    let system_max = std::fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(limit.rlim_max);
    // Above the hard limit needs CAP_SYS_RESOURCE; without it, up to the hard limit.
    for target in [system_max.max(limit.rlim_max), limit.rlim_max] {
        let wanted = libc::rlimit {
            rlim_cur: target,
            rlim_max: target,
        };
        // SAFETY: reads the limit from the local variable.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) } == 0 {
            return Ok(target);
        }
    }
    Ok(limit.rlim_cur)
}

/// Pins the calling thread to one CPU.
pub(crate) fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    // SAFETY: a CPU set is an array of bits, of which none need be set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: checks the index against the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: reads the set, whose size is given.
    check(unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) }).map(drop)
}

pub(crate) fn sleep_ns(ns: u64) {
    std::thread::sleep(std::time::Duration::from_nanos(ns));
}

/// Lets timed waits end when asked instead of up to 50 us later.
pub(crate) fn remove_timer_slack() {
    // SAFETY: this request takes a number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize, 0usize, 0usize, 0usize) };
}

/// SIGTERM and SIGINT, held back for whoever waits for them.
pub(crate) struct StopSignals {
    set: libc::sigset_t,
}

impl StopSignals {
    /// Holds them back from this thread and those that it starts from now on.
    pub(crate) fn hold_back() -> io::Result<Self> {
        // SAFETY: a set of signals is an array of bits, of which none need be set.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        for signal in [libc::SIGTERM, libc::SIGINT] {
            // SAFETY: changes the local variable.
            check(unsafe { libc::sigaddset(&mut set, signal) })?;
        }
        // SAFETY: reads the set; the old one is not asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } {
            0 => Ok(Self { set }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Waits until the process is asked to stop.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut signal = 0;
        // SAFETY: reads the set, and writes the signal to the local variable.
        match unsafe { libc::sigwait(&self.set, &mut signal) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

pub(crate) struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: touches no memory.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    pub(crate) fn add(&self, fd: RawFd, events: i32, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, token)
    }

    pub(crate) fn modify(&self, fd: RawFd, events: i32, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, token)
    }

    fn control(&self, op: i32, fd: RawFd, events: i32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: token,
        };
        // SAFETY: reads the event from the local variable.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), op, fd, &mut event) }).map(drop)
    }

    /// Waits at most `timeout_ns` (None: for ever) and returns how many events were filled in.
    pub(crate) fn wait(
        &self,
        events: &mut [libc::epoll_event],
        timeout_ns: Option<u64>,
    ) -> io::Result<usize> {
        let timeout = timeout_ns.map(|ns| libc::timespec {
            tv_sec: (ns / 1_000_000_000) as libc::time_t,
            tv_nsec: (ns % 1_000_000_000) as libc::c_long,
        });
        let timeout_ptr = timeout
            .as_ref()
            .map_or(std::ptr::null(), |ts| ts as *const _);
        // SAFETY: the kernel writes at most `events.len()` events; the timeout outlives the call.
        let ready = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as libc::c_int,
                timeout_ptr,
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        match check_size(ready as isize) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other,
        }
    }
}

pub(crate) fn read(fd: RawFd, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `buf.len()` bytes to `buf`.
    check_size(unsafe { libc::read(fd, buf.as_mut_ptr().cast(), buf.len()) })
}

pub(crate) const SEND_FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

pub(crate) fn send(fd: RawFd, buf: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads the `buf.len()` bytes of `buf`.
    check_size(unsafe { libc::send(fd, buf.as_ptr().cast(), buf.len(), SEND_FLAGS) })
}

/// Sets the kernel's receive buffer of a socket.
pub(crate) fn set_receive_buffer(fd: RawFd, bytes: i32) -> io::Result<()> {
    set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
}

/// Has a connection reset when its descriptor is closed.
pub(crate) fn reset_on_close(fd: RawFd) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let size = mem::size_of_val(&linger) as libc::socklen_t;
    let value = (&raw const linger).cast();
    // SAFETY: reads the argument, whose size is given.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, size) }).map(drop)
}

fn set_int(fd: RawFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let size = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: reads the argument, whose size is given.
    check(unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), size) }).map(drop)
}

fn sockaddr(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

const SOCKADDR_LEN: libc::socklen_t = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;

fn tcp_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: touches no memory.
    let fd = check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Starts a non-blocking connect from `source` (port chosen by the kernel per 4-tuple).
pub(crate) fn connect(
    source: Ipv4Addr,
    target: SocketAddrV4,
    receive_buffer: Option<i32>,
) -> io::Result<OwnedFd> {
    let socket = tcp_socket()?;
    let fd = socket.as_raw_fd();
    set_int(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    if let Some(bytes) = receive_buffer {
        set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)?;
    }
    set_int(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    let address = sockaddr(SocketAddrV4::new(source, 0));
    // SAFETY: reads the address, whose size is given.
    check(unsafe { libc::bind(fd, (&raw const address).cast(), SOCKADDR_LEN) })?;
    let address = sockaddr(target);
    // SAFETY: reads the address, whose size is given.
    match check(unsafe { libc::connect(fd, (&raw const address).cast(), SOCKADDR_LEN) }) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// The error a non-blocking connect ended with, if it failed.
pub(crate) fn socket_error(fd: RawFd) -> Option<io::Error> {
    let mut error: libc::c_int = 0;
    let mut size = mem::size_of_val(&error) as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes, the size of the variable.
    let got = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut error).cast(),
            &mut size,
        )
    };
    (got == 0 && error != 0).then(|| io::Error::from_raw_os_error(error))
}

pub(crate) fn local_addr(fd: RawFd) -> io::Result<SocketAddrV4> {
    let mut address = sockaddr(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
    let mut size = SOCKADDR_LEN;
    // SAFETY: the kernel writes at most `size` bytes, the size of the variable.
    check(unsafe { libc::getsockname(fd, (&raw mut address).cast(), &mut size) })?;
    Ok(SocketAddrV4::new(
        Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)),
        u16::from_be(address.sin_port),
    ))
}

pub(crate) fn listen(address: SocketAddrV4, backlog: i32) -> io::Result<OwnedFd> {
    let socket = tcp_socket()?;
    let fd = socket.as_raw_fd();
    set_int(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    let address = sockaddr(address);
    // SAFETY: reads the address, whose size is given.
    check(unsafe { libc::bind(fd, (&raw const address).cast(), SOCKADDR_LEN) })?;
    // SAFETY: touches no memory.
    check(unsafe { libc::listen(fd, backlog) })?;
    Ok(socket)
}

/// A port on which nobody listens, and nobody else can as long as the socket is kept: connections
/// to it are refused.
pub(crate) fn refusing_port() -> io::Result<(OwnedFd, SocketAddrV4)> {
    let socket = tcp_socket()?;
    let fd = socket.as_raw_fd();
    let address = sockaddr(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
    // SAFETY: reads the address, whose size is given.
    check(unsafe { libc::bind(fd, (&raw const address).cast(), SOCKADDR_LEN) })?;
    let address = local_addr(fd)?;
    Ok((socket, address))
}

/// Accepts one connection, non-blocking and without Nagle's delay; None when none waits.
pub(crate) fn accept(listener: RawFd) -> io::Result<Option<OwnedFd>> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let null = std::ptr::null_mut();
    // SAFETY: null pointers: the peer's address is not asked for.
    match check(unsafe { libc::accept4(listener, null, std::ptr::null_mut(), flags) }) {
        Ok(fd) => {
            // SAFETY: the descriptor is new and nobody else's.
            let socket = unsafe { OwnedFd::from_raw_fd(fd) };
            set_int(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
            Ok(Some(socket))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
