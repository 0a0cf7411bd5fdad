//! What a program is, and how it is read from bytes. The format is described in programs.rs.

use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};

/// Longer inputs are cut off: what they find, shorter ones find too.
const MAX_BYTES: usize = 256;

#[derive(Debug)]
pub struct Program {
    pub mode: Mode,
    /// The types of the coroutines that do not ask for others.
    pub shape: u8,
    /// The first runs on the thread's own stack, the others are bodies.
    pub scripts: Vec<Vec<Op>>,
}

/// What a program may do to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: everything that was made has to be dropped.
    Strict,
    /// It may leak, by `forget` or by bodies that cannot be unwound.
    Leaks,
    /// Also, destructors may yield while their body panics. One that is leaked then leaves a thread that panics for ever,
    /// so such a program gets one of its own.
    Panics,
}

/// Where to look for an object, and what to do if driving it panics.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Modulo how many there are.
    pub index: u8,
    /// Among the body's own, rather than in the bag that all bodies share.
    pub own: bool,
    /// Goes on after a panic.
    pub guarded: bool,
}

/// What to do with an exception.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    Pass,
    Ignore,
    Return,
    Replace,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Of the program's shape.
    Coroutine,
    OfShape(u8),
    Generator(u8),
    Sink(u8),
}

#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub kind: Kind,
    pub script: u8,
    pub stack: Size,
    pub named: bool,
    /// `try_reserve` at once.
    pub reserve: bool,
    /// Captures more than fits into the frame.
    pub large: bool,
    /// Captures something that panics if the body never starts.
    pub bomb: bool,
    /// Captures the newest object that the maker owns.
    pub inherits: bool,
    /// Goes to the bag rather than to the maker.
    pub shared: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Size {
    Smallest,
    Kib32,
    Kib64,
    Default,
    Mib1,
}

#[derive(Clone, Copy, Debug)]
pub enum Verb {
    Prime,
    Send,
    Throw,
    Exit,
    Close,
    Take,
    Look,
    Reserve,
    /// Consumes it: `primed`, `into_return`, a sink's `close`.
    Finish,
}

#[derive(Clone, Copy, Debug)]
pub enum Adaptor {
    Take,
    Peekable,
    Zip,
    Chain,
}

#[derive(Clone, Copy, Debug)]
pub enum Callback {
    Sort,
    Retain,
    FromFn,
    Display,
}

/// What a destructor does.
#[derive(Clone, Copy, Debug)]
pub enum Last {
    Yield,
    YieldTwice,
    YieldCaught,
    YieldForever,
    Each,
    Panic,
    Send,
    Close,
    Drop,
    Delegate,
    Intrude,
}

/// One thing that a body does. `len` is how many of the next ones belong to it.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Make(Recipe),
    Drive(Verb, Target),
    Iterate(Adaptor, Target, Target),
    Drop(Target),
    Forget(Target),
    Share(Target),
    Clone(Target),
    Weaken(Target),
    Swap(Target, Target),
    Move(Target),
    /// Makes the next value one that panics when it is dropped on the way.
    Arm,
    Yield(Then),
    YieldEach(u8, Then),
    YieldBelowC(Then),
    YieldCaughtForever,
    Delegate(Target, Then),
    /// Without a look at its state.
    DelegateBlindly(Target, Then),
    DelegateToNew(Recipe, Then),
    Receive(u8),
    Drain,
    /// Yields or delegates with the handle of a body around this one.
    Intrude(u8, Target),
    Scoped {
        script: u8,
        owned: bool,
        len: u8,
    },
    NextOfScope,
    Call {
        depth: u8,
        len: u8,
    },
    Catch {
        len: u8,
    },
    Guard {
        last: Last,
        on: Target,
        len: u8,
    },
    Repeat {
        times: u8,
        len: u8,
    },
    Callback(Callback, u8),
    Return,
    Raise,
    Panic,
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let bytes = u.bytes(u.len())?;
        Ok(Self::decode(&bytes[..bytes.len().min(MAX_BYTES)]))
    }

    fn arbitrary_take_rest(mut u: Unstructured<'a>) -> arbitrary::Result<Self> {
        Self::arbitrary(&mut u)
    }
}

impl Program {
    fn decode(bytes: &[u8]) -> Self {
        let mut input = Input(bytes.iter());
        let mode = match input.byte() % 8 {
            0..=4 => Mode::Strict,
            5 | 6 => Mode::Leaks,
            _ => Mode::Panics,
        };
        let shape = input.byte();
        let mut scripts = vec![Vec::new()];
        while let Some(code) = input.0.next() {
            match input.op(*code) {
                Some(op) => scripts.last_mut().expect("there is one").push(op),
                None => scripts.push(Vec::new()),
            }
        }
        Self {
            mode,
            shape,
            scripts,
        }
    }
}

struct Input<'a>(std::slice::Iter<'a, u8>);

impl Input<'_> {
    /// The next byte. After the end, all are zero.
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn pick<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[usize::from(self.byte()) % N]
    }

    /// `None` ends a script.
    fn op(&mut self, code: u8) -> Option<Op> {
        Some(match code % 48 {
            0 => return None,
            1..=4 => Op::Make(self.recipe()),
            5..=7 => Op::Drive(Verb::Prime, self.target()),
            8..=11 => Op::Drive(Verb::Send, self.target()),
            12 => Op::Drive(Verb::Throw, self.target()),
            13 => Op::Drive(Verb::Exit, self.target()),
            14 => Op::Drive(Verb::Close, self.target()),
            15 => {
                let verb = self.pick([Verb::Take, Verb::Look, Verb::Reserve, Verb::Finish]);
                Op::Drive(verb, self.target())
            }
            16 => {
                let adaptor = self.pick([
                    Adaptor::Take,
                    Adaptor::Peekable,
                    Adaptor::Zip,
                    Adaptor::Chain,
                ]);
                Op::Iterate(adaptor, self.target(), self.target())
            }
            17 => Op::Drop(self.target()),
            18 => Op::Forget(self.target()),
            19 => Op::Share(self.target()),
            20 => Op::Clone(self.target()),
            21 => Op::Weaken(self.target()),
            22 => Op::Swap(self.target(), self.target()),
            23 => Op::Move(self.target()),
            24 => Op::Arm,
            25..=28 => Op::Yield(self.then()),
            29 => Op::YieldEach(self.byte() % 4, self.then()),
            30 => Op::YieldBelowC(self.then()),
            31 => Op::YieldCaughtForever,
            32 | 33 => Op::Delegate(self.target(), self.then()),
            34 => Op::DelegateBlindly(self.target(), self.then()),
            35 => Op::DelegateToNew(self.recipe(), self.then()),
            36 => Op::Receive(self.byte() % 8),
            37 => Op::Drain,
            38 => Op::Intrude(self.byte() % 4, self.target()),
            39 => {
                let (script, shape) = (self.byte(), self.byte());
                Op::Scoped {
                    script,
                    owned: shape & 1 == 0,
                    len: shape / 2 % 16,
                }
            }
            40 => Op::NextOfScope,
            41 => Op::Call {
                depth: self.byte() % 8,
                len: self.byte() % 8,
            },
            42 => Op::Catch {
                len: self.byte() % 8,
            },
            43 => Op::Guard {
                last: self.pick([
                    Last::Yield,
                    Last::YieldTwice,
                    Last::YieldCaught,
                    Last::YieldForever,
                    Last::Each,
                    Last::Panic,
                    Last::Send,
                    Last::Close,
                    Last::Drop,
                    Last::Delegate,
                    Last::Intrude,
                ]),
                on: self.target(),
                len: self.byte() % 8,
            },
            44 => Op::Repeat {
                times: 2 + self.byte() % 4,
                len: 1 + self.byte() % 8,
            },
            45 => {
                let callback = self.pick([
                    Callback::Sort,
                    Callback::Retain,
                    Callback::FromFn,
                    Callback::Display,
                ]);
                Op::Callback(callback, self.byte() % 8)
            }
            46 => self.pick([Op::Return, Op::Raise]),
            _ => Op::Panic,
        })
    }

    fn target(&mut self) -> Target {
        let byte = self.byte();
        Target {
            index: byte & 0x1f,
            own: byte & 0x20 == 0,
            guarded: byte & 0x40 == 0,
        }
    }

    fn then(&mut self) -> Then {
        // Most bodies of real programs pass it on.
        self.pick([
            Then::Pass,
            Then::Ignore,
            Then::Pass,
            Then::Return,
            Then::Pass,
            Then::Replace,
        ])
    }

    fn recipe(&mut self) -> Recipe {
        let kind = self.byte();
        let script = self.byte();
        let stack = self.pick([
            Size::Kib64,
            Size::Smallest,
            Size::Default,
            Size::Kib32,
            Size::Mib1,
        ]);
        let how = self.byte();
        Recipe {
            kind: match (kind % 8, kind / 8) {
                (0..=2, _) => Kind::Coroutine,
                (3 | 4, n) => Kind::OfShape(n),
                (5 | 6, n) => Kind::Generator(n),
                (_, n) => Kind::Sink(n),
            },
            script,
            stack,
            named: how & 1 != 0,
            reserve: how & 2 != 0,
            large: how & 12 == 12,
            bomb: how & 48 == 48,
            inherits: how & 64 != 0,
            shared: how & 128 != 0,
        }
    }
}

impl Op {
    /// How many of the operations that follow belong to this one.
    pub fn len(&self) -> usize {
        usize::from(match *self {
            Self::Receive(len) | Self::Callback(_, len) => len,
            Self::Scoped { len, .. }
            | Self::Call { len, .. }
            | Self::Catch { len }
            | Self::Guard { len, .. }
            | Self::Repeat { len, .. } => len,
            _ => 0,
        })
    }
}
