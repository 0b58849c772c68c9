//! Who asks: `calls-load PORT CONNECTIONS RATE WARM_UP SPAN`, the last two in milliseconds.
//!
//! With a rate of 0 each connection asks again as soon as it has its answer. With any other so many requests a second are
//! due at even distances, on whichever connection is free, and a request's time counts from when it was due: one that had to
//! wait because the ones before were slow has waited.
//!
//! One thread, one read and one write a request; every answer is held against the upstream's. When the warm-up is over it
//! prints `begun`, and at the end four numbers: answers a second, the median and the 99th percentile of their time in
//! nanoseconds, and the share of a processor that it took itself.

use std::{
    collections::VecDeque,
    env,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use anyhow::{bail, ensure};
use benches::{
    clock, exchange,
    figures::{float, percentile},
};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};

struct Load {
    epoll: Epoll,
    connections: Vec<Connection>,
    pace: Option<Pace>,
    /// Of answers since the warm-up, in nanoseconds.
    times: Vec<f64>,
    counts: bool,
}

struct Connection {
    stream: TcpStream,
    /// When its request was due.
    due: u64,
    buffer: Vec<u8>,
    filled: usize,
}

/// Requests at even distances.
struct Pace {
    timer: TimerFd,
    distance: u64,
    next: u64,
    /// Connections that nobody uses.
    free: Vec<usize>,
    /// When those were due that no connection was free for.
    waiting: VecDeque<u64>,
}

/// What the timer's event says; below it are the connections.
const TIMER: u64 = u64::MAX;
/// How long nothing may happen before the time is looked at, in milliseconds.
const LOOK: u8 = 20;
/// Answers that are counted without another allocation.
const MANY: usize = 1 << 20;

fn main() -> anyhow::Result<()> {
    let words: Vec<u64> = env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [port, connections, rate, warm_up, span] = words[..] else {
        bail!("usage: calls-load PORT CONNECTIONS RATE WARM_UP SPAN")
    };
    let mut load = Load::new(u16::try_from(port)?, connections, rate)?;
    load.begin()?;
    load.run_until(clock::now() + warm_up * 1_000_000)?;
    writeln!(io::stdout(), "begun")?;
    load.counts = true;
    let (begun, cpu) = (clock::now(), clock::thread_cpu());
    load.run_until(begun + span * 1_000_000)?;
    let taken = Duration::from_nanos(clock::now() - begun).as_secs_f64();
    let busy = clock::thread_cpu().saturating_sub(cpu).as_secs_f64() / taken;
    let times = &load.times;
    ensure!(!times.is_empty(), "no answer came");
    let [p50, p99] = [50, 99].map(|percent| percentile(times, percent));
    let each_second = float(times.len() as u64) / taken;
    writeln!(io::stdout(), "{each_second} {p50} {p99} {busy}")?;
    Ok(())
}

impl Load {
    fn new(port: u16, count: u64, rate: u64) -> anyhow::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut connections = Vec::new();
        for number in 0..count {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
            connections.push(Connection {
                stream,
                due: 0,
                buffer: vec![0; exchange::LONGEST],
                filled: 0,
            });
        }
        let pace = match rate {
            0 => None,
            rate => {
                let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
                epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
                Some(Pace {
                    timer,
                    distance: 1_000_000_000 / rate,
                    next: 0,
                    free: (0..connections.len()).collect(),
                    waiting: VecDeque::new(),
                })
            }
        };
        Ok(Self {
            epoll,
            connections,
            pace,
            times: Vec::with_capacity(MANY),
            counts: false,
        })
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let Some(pace) = &mut self.pace else {
            return self.connections.iter_mut().try_for_each(|it| it.ask(clock::now()));
        };
        pace.next = clock::now() + pace.distance;
        let moment = |nanos| TimeSpec::from_duration(Duration::from_nanos(nanos));
        let each = Expiration::IntervalDelayed(moment(pace.next), moment(pace.distance));
        Ok(pace.timer.set(each, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }

    fn run_until(&mut self, end: u64) -> anyhow::Result<()> {
        let mut events = [EpollEvent::empty(); 256];
        while clock::now() < end {
            let ready = self.epoll.wait(&mut events, EpollTimeout::from(LOOK))?;
            for event in &events[..ready] {
                match event.data() {
                    TIMER => self.ask_what_is_due()?,
                    number => self.hear(usize::try_from(number)?)?,
                }
            }
        }
        Ok(())
    }

    fn ask_what_is_due(&mut self) -> anyhow::Result<()> {
        let Some(pace) = &mut self.pace else {
            return Ok(());
        };
        pace.timer.wait()?;
        let now = clock::now();
        while pace.next <= now {
            match pace.free.pop() {
                Some(number) => self.connections[number].ask(pace.next)?,
                None => pace.waiting.push_back(pace.next),
            }
            pace.next += pace.distance;
        }
        Ok(())
    }

    fn hear(&mut self, number: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[number];
        if !connection.hear()? {
            return Ok(());
        }
        let now = clock::now();
        if self.counts {
            self.times.push(float(now - connection.due));
        }
        let Some(pace) = &mut self.pace else {
            return connection.ask(now);
        };
        if let Some(due) = pace.waiting.pop_front() {
            return connection.ask(due);
        }
        pace.free.push(number);
        Ok(())
    }
}

impl Connection {
    fn ask(&mut self, due: u64) -> anyhow::Result<()> {
        self.due = due;
        Ok(self.stream.write_all(exchange::REQUEST)?)
    }

    /// Reads what has come; whether the answer is whole.
    fn hear(&mut self) -> anyhow::Result<bool> {
        let count = self.stream.read(&mut self.buffer[self.filled..])?;
        ensure!(count > 0, "a connection was closed before its answer");
        self.filled += count;
        let is_whole = exchange::is_whole(&self.buffer[..self.filled])?;
        if is_whole {
            self.filled = 0;
        }
        Ok(is_whole)
    }
}
