//! Bits of a payload as one string, most significant first: bit 7 of byte 0 has position 0.

/// The `width` bits (1 to 64) from `start` on as a number; none where the payload ends before them.
pub(super) fn read(bytes: &[u8], start: usize, width: u32) -> Option<u64> {
    let end = start.checked_add(usize::try_from(width).ok()?)?;
    let touched = bytes.get(start / 8..end.div_ceil(8))?;
    let unused = (8 - end % 8) % 8;
    if touched.len() <= 8 {
        let all = touched.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        return Some((all >> unused) & mask(width));
    }
    let all = touched.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    u64::try_from((all >> unused) & u128::from(mask(width))).ok()
}

/// Puts the low `width` bits of `value` at `start`; none where the bytes end before that.
pub(super) fn write(bytes: &mut [u8], start: usize, width: u32, value: u64) -> Option<()> {
    for (nth, position) in (0..width).rev().zip(start..) {
        let byte = bytes.get_mut(position / 8)?;
        let bit = 0x80_u8 >> (position % 8);
        if (value >> nth) & 1 == 1 { *byte |= bit } else { *byte &= !bit }
    }
    Some(())
}

/// The value with the order of its bytes reversed; `width` is a multiple of 8.
pub(super) fn reverse_bytes(value: u64, width: u32) -> u64 {
    value.swap_bytes() >> (64 - width.clamp(1, 64))
}

/// The two's complement number in the low `width` bits.
pub(super) fn signed(value: u64, width: u32) -> i64 {
    let unused = 64 - width.clamp(1, 64);
    i64::from_ne_bytes((value << unused).to_ne_bytes()) >> unused
}

/// `width` ones.
pub(super) fn mask(width: u32) -> u64 {
    u64::MAX >> (64 - width.clamp(1, 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_cross_bytes_and_stop_at_the_end() {
        for (start, width, expected) in [
            (0, 8, Some(0x99)),
            (4, 8, Some(0x96)),
            (7, 1, Some(1)),
            (8, 16, None),
            (0, 16, Some(0x996A)),
            (16, 1, None),
            (usize::MAX, 64, None),
        ] {
            assert_eq!(read(&[0x99, 0x6A], start, width), expected, "{width} from {start}");
        }
        assert_eq!(read(&[0xFF; 9], 7, 64), Some(u64::MAX));
    }

    #[test]
    fn the_sign_is_the_first_bit() {
        for (value, width, expected) in [
            (1, 1, -1),
            (0xF9C, 12, -100),
            (0x7F, 8, 127),
            (0x80, 8, -128),
            (u64::MAX, 64, -1),
            (1 << 63, 64, i64::MIN),
        ] {
            assert_eq!(signed(value, width), expected);
        }
    }

    proptest! {
        #![proptest_config(crate::decode::cases(1))]

        #[test]
        fn what_is_written_is_read(
            before in prop::collection::vec(any::<u8>(), 16),
            start in 0_usize..64,
            width in 1_u32..=64,
            value: u64,
        ) {
            let mut bytes = before.clone();
            prop_assert_eq!(write(&mut bytes, start, width, value), Some(()));
            prop_assert_eq!(read(&bytes, start, width), Some(value & mask(width)));
            // Its neighbours are as they were.
            let old = read(&before, start, width).unwrap();
            prop_assert_eq!(write(&mut bytes, start, width, old), Some(()));
            prop_assert_eq!(bytes, before);
        }
    }
}
