//! `Keccak-f[1600]`, the permutation of SHA3, on several states at once.
//!
//! One state keeps a core busy with instructions that wait for each other; eight states side by side in vector registers
//! take about as long as one. The instructions are chosen when the program runs: AVX-512, AVX2, or plain ones.
//!
//! The names of the steps (theta, rho, pi, chi, iota) are those of [FIPS 202](https://doi.org/10.6028/NIST.FIPS.202).

use pulp::Arch;

/// How many states are permuted together.
pub(super) const LANES: usize = 8;

/// Word by word, the states side by side: word `i` of state `s` is `states[i][s]`.
pub(super) type States = [[u64; LANES]; 25];

/// The constants of iota.
const ROUNDS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808A,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808B,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008A,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000A,
    0x0000_0000_8000_808B,
    0x8000_0000_0000_008B,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800A,
    0x8000_0000_8000_000A,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Permutes the first `active` states; the others become anything.
pub(super) fn permute(arch: Arch, states: &mut States, active: usize) {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(cpu) => pulp::Simd::vectorize(cpu, x86::Eight { cpu, states }),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(cpu) => pulp::Simd::vectorize(cpu, x86::Four { cpu, states, active }),
        _ => {
            for state in 0..active.min(LANES) {
                all_rounds(plain::Plain, states, state);
            }
        }
    }
}

/// A vector of words, one of each state that is permuted together, and what is done to it.
trait Words: Copy {
    type Vector: Copy;

    /// Word of the states of one part of all.
    fn load(self, word: &[u64; LANES], part: usize) -> Self::Vector;
    fn store(self, vector: Self::Vector, word: &mut [u64; LANES], part: usize);
    fn splat(self, value: u64) -> Self::Vector;
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `b` where `a` has no bit.
    fn and_not(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Turns by `LEFT` bits; `RIGHT` is 64 less that.
    fn rotate<const LEFT: i32, const RIGHT: i32>(self, a: Self::Vector) -> Self::Vector;
}

// Everything here is inlined into code for one set of instructions, where closures would not be.
#[inline(always)]
fn all_rounds<W: Words>(w: W, states: &mut States, part: usize) {
    let mut vectors = [w.splat(0); 25];
    for (vector, word) in vectors.iter_mut().zip(states.iter()) {
        *vector = w.load(word, part);
    }
    for constant in ROUNDS {
        round(w, &mut vectors, constant);
    }
    for (vector, word) in vectors.iter().zip(states.iter_mut()) {
        w.store(*vector, word, part);
    }
}

#[inline(always)]
fn round<W: Words>(w: W, state: &mut [W::Vector; 25], constant: u64) {
    let [
        [a0, a1, a2, a3, a4],
        [b0, b1, b2, b3, b4],
        [c0, c1, c2, c3, c4],
        [d0, d1, d2, d3, d4],
        [e0, e1, e2, e3, e4],
    ] = rows(*state);
    // theta
    let (p0, p1) = (parity(w, [a0, b0, c0, d0, e0]), parity(w, [a1, b1, c1, d1, e1]));
    let (p2, p3) = (parity(w, [a2, b2, c2, d2, e2]), parity(w, [a3, b3, c3, d3, e3]));
    let p4 = parity(w, [a4, b4, c4, d4, e4]);
    let t0 = w.xor(p4, w.rotate::<1, 63>(p1));
    let t1 = w.xor(p0, w.rotate::<1, 63>(p2));
    let t2 = w.xor(p1, w.rotate::<1, 63>(p3));
    let t3 = w.xor(p2, w.rotate::<1, 63>(p4));
    let t4 = w.xor(p3, w.rotate::<1, 63>(p0));
    // rho, pi and chi, row by row
    let row0 = chi(
        w,
        [
            w.xor(a0, t0),
            turn::<W, 44, 20>(w, b1, t1),
            turn::<W, 43, 21>(w, c2, t2),
            turn::<W, 21, 43>(w, d3, t3),
            turn::<W, 14, 50>(w, e4, t4),
        ],
    );
    let row1 = chi(
        w,
        [
            turn::<W, 28, 36>(w, a3, t3),
            turn::<W, 20, 44>(w, b4, t4),
            turn::<W, 3, 61>(w, c0, t0),
            turn::<W, 45, 19>(w, d1, t1),
            turn::<W, 61, 3>(w, e2, t2),
        ],
    );
    let row2 = chi(
        w,
        [
            turn::<W, 1, 63>(w, a1, t1),
            turn::<W, 6, 58>(w, b2, t2),
            turn::<W, 25, 39>(w, c3, t3),
            turn::<W, 8, 56>(w, d4, t4),
            turn::<W, 18, 46>(w, e0, t0),
        ],
    );
    let row3 = chi(
        w,
        [
            turn::<W, 27, 37>(w, a4, t4),
            turn::<W, 36, 28>(w, b0, t0),
            turn::<W, 10, 54>(w, c1, t1),
            turn::<W, 15, 49>(w, d2, t2),
            turn::<W, 56, 8>(w, e3, t3),
        ],
    );
    let row4 = chi(
        w,
        [
            turn::<W, 62, 2>(w, a2, t2),
            turn::<W, 55, 9>(w, b3, t3),
            turn::<W, 39, 25>(w, c4, t4),
            turn::<W, 41, 23>(w, d0, t0),
            turn::<W, 2, 62>(w, e1, t1),
        ],
    );
    let [first, rest @ ..] = row0;
    // iota
    let first = w.xor(first, w.splat(constant));
    let [f1, f2, f3, f4] = rest;
    let [g0, g1, g2, g3, g4] = row1;
    let [h0, h1, h2, h3, h4] = row2;
    let [i0, i1, i2, i3, i4] = row3;
    let [j0, j1, j2, j3, j4] = row4;
    *state = [
        first, f1, f2, f3, f4, g0, g1, g2, g3, g4, h0, h1, h2, h3, h4, i0, i1, i2, i3, i4, j0, j1, j2, j3, j4,
    ];
}

#[inline(always)]
fn rows<V: Copy>(state: [V; 25]) -> [[V; 5]; 5] {
    let [
        a0,
        a1,
        a2,
        a3,
        a4,
        b0,
        b1,
        b2,
        b3,
        b4,
        c0,
        c1,
        c2,
        c3,
        c4,
        d0,
        d1,
        d2,
        d3,
        d4,
        e0,
        e1,
        e2,
        e3,
        e4,
    ] = state;
    [
        [a0, a1, a2, a3, a4],
        [b0, b1, b2, b3, b4],
        [c0, c1, c2, c3, c4],
        [d0, d1, d2, d3, d4],
        [e0, e1, e2, e3, e4],
    ]
}

#[inline(always)]
fn parity<W: Words>(w: W, [a, b, c, d, e]: [W::Vector; 5]) -> W::Vector {
    w.xor(w.xor(w.xor(a, b), w.xor(c, d)), e)
}

#[inline(always)]
fn turn<W: Words, const LEFT: i32, const RIGHT: i32>(w: W, a: W::Vector, theta: W::Vector) -> W::Vector {
    w.rotate::<LEFT, RIGHT>(w.xor(a, theta))
}

#[inline(always)]
fn chi<W: Words>(w: W, [a, b, c, d, e]: [W::Vector; 5]) -> [W::Vector; 5] {
    [
        w.xor(a, w.and_not(b, c)),
        w.xor(b, w.and_not(c, d)),
        w.xor(c, w.and_not(d, e)),
        w.xor(d, w.and_not(e, a)),
        w.xor(e, w.and_not(a, b)),
    ]
}

mod plain {
    use super::{LANES, Words};

    /// One state after the other.
    #[derive(Clone, Copy)]
    pub(super) struct Plain;

    impl Words for Plain {
        type Vector = u64;

        #[inline(always)]
        fn load(self, word: &[u64; LANES], part: usize) -> u64 {
            word.get(part).copied().unwrap_or_default()
        }

        #[inline(always)]
        fn store(self, vector: u64, word: &mut [u64; LANES], part: usize) {
            if let Some(word) = word.get_mut(part) {
                *word = vector;
            }
        }

        #[inline(always)]
        fn splat(self, value: u64) -> u64 {
            value
        }

        #[inline(always)]
        fn xor(self, a: u64, b: u64) -> u64 {
            a ^ b
        }

        #[inline(always)]
        fn and_not(self, a: u64, b: u64) -> u64 {
            !a & b
        }

        #[inline(always)]
        fn rotate<const LEFT: i32, const RIGHT: i32>(self, a: u64) -> u64 {
            a.rotate_left(LEFT.unsigned_abs())
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, Simd, cast, u64x4, u64x8};

    use super::{LANES, States, Words, all_rounds};

    /// AVX-512: all states in one vector.
    pub(super) struct Eight<'a> {
        pub(super) cpu: V4,
        pub(super) states: &'a mut States,
    }

    impl NullaryFnOnce for Eight<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            all_rounds(self.cpu, self.states, 0);
        }
    }

    /// AVX2: four states in a vector.
    pub(super) struct Four<'a> {
        pub(super) cpu: V3,
        pub(super) states: &'a mut States,
        pub(super) active: usize,
    }

    impl NullaryFnOnce for Four<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            all_rounds(self.cpu, self.states, 0);
            if self.active > LANES / 2 {
                all_rounds(self.cpu, self.states, 1);
            }
        }
    }

    impl Words for V4 {
        type Vector = u64x8;

        #[inline(always)]
        fn load(self, word: &[u64; LANES], _part: usize) -> u64x8 {
            cast(*word)
        }

        #[inline(always)]
        fn store(self, vector: u64x8, word: &mut [u64; LANES], _part: usize) {
            *word = cast(vector);
        }

        #[inline(always)]
        fn splat(self, value: u64) -> u64x8 {
            self.splat_u64s(value)
        }

        #[inline(always)]
        fn xor(self, a: u64x8, b: u64x8) -> u64x8 {
            self.xor_u64s(a, b)
        }

        #[inline(always)]
        fn and_not(self, a: u64x8, b: u64x8) -> u64x8 {
            self.and_u64s(self.not_u64s(a), b)
        }

        #[inline(always)]
        fn rotate<const LEFT: i32, const RIGHT: i32>(self, a: u64x8) -> u64x8 {
            cast(self.avx512f._mm512_rol_epi64::<LEFT>(cast(a)))
        }
    }

    impl Words for V3 {
        type Vector = u64x4;

        #[inline(always)]
        fn load(self, word: &[u64; LANES], part: usize) -> u64x4 {
            let [low, high]: [u64x4; 2] = cast(*word);
            if part == 0 { low } else { high }
        }

        #[inline(always)]
        fn store(self, vector: u64x4, word: &mut [u64; LANES], part: usize) {
            let [low, high]: [u64x4; 2] = cast(*word);
            *word = cast(if part == 0 { [vector, high] } else { [low, vector] });
        }

        #[inline(always)]
        fn splat(self, value: u64) -> u64x4 {
            self.splat_u64s(value)
        }

        #[inline(always)]
        fn xor(self, a: u64x4, b: u64x4) -> u64x4 {
            self.xor_u64s(a, b)
        }

        #[inline(always)]
        fn and_not(self, a: u64x4, b: u64x4) -> u64x4 {
            self.and_u64s(self.not_u64s(a), b)
        }

        #[inline(always)]
        fn rotate<const LEFT: i32, const RIGHT: i32>(self, a: u64x4) -> u64x4 {
            self.or_u64s(self.shl_const_u64x4::<LEFT>(a), self.shr_const_u64x4::<RIGHT>(a))
        }
    }
}

#[cfg(test)]
mod tests;
