use pulp::Arch;

use super::{LANES, States, permute};

/// States that differ in every word and lane.
fn states() -> States {
    let mut next = 0x9E37_79B9_7F4A_7C15_u64;
    std::array::from_fn(|_| {
        std::array::from_fn(|_| {
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            next
        })
    })
}

/// The known permutation of zeros: the first word of the standard's test.
#[test]
fn zeros_become_what_the_standard_says() {
    for arch in machines() {
        let mut zeros = [[0; LANES]; 25];
        permute(arch, &mut zeros, LANES);
        assert_eq!(zeros[0], [0xF125_8F79_40E1_DDE7; LANES], "{arch:?}");
        assert_eq!(zeros[24], [0xEAF1_FF7B_5CEC_A249; LANES], "{arch:?}");
    }
}

#[test]
fn all_instructions_compute_the_same() {
    let mut plain = states();
    permute(Arch::Scalar, &mut plain, LANES);
    for arch in machines() {
        for active in 1..=LANES {
            let mut permuted = states();
            permute(arch, &mut permuted, active);
            for (expected, got) in plain.iter().zip(&permuted) {
                assert_eq!(expected[..active], got[..active], "{arch:?}, {active} states");
            }
        }
    }
}

/// What this machine can do, and everything below it.
fn machines() -> Vec<Arch> {
    let mut machines = vec![Arch::Scalar, Arch::new()];
    #[cfg(target_arch = "x86_64")]
    machines.extend(pulp::x86::V3::try_new().map(Arch::V3));
    machines
}
