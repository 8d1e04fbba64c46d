//! Who asked lately, and whether that is one reader alone.

/// The last requests of a mount, small enough for one atomic word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// The thread that asked last; 0: nobody yet.
    reader: u32,
    /// How much readers take turns: every change adds to it, every other request takes away.
    turns: u8,
    /// Counts requests, round and round in 24 bits.
    count: u32,
}

impl Recent {
    /// What a change of the reader adds.
    const CHANGE: u8 = 16;
    /// Below this, readers come one after the other.
    const FEW: u8 = 2 * Recent::CHANGE;
    /// So many requests after readers have taken turns, the last of them is alone.
    const MOST: u8 = 4 * Recent::CHANGE;

    /// From the word that [`Recent::pack`] made.
    pub fn unpack(word: u64) -> Recent {
        let [turns, count @ .., r0, r1, r2, r3] = word.to_le_bytes();
        let [c0, c1, c2] = count;
        Recent {
            reader: u32::from_le_bytes([r0, r1, r2, r3]),
            turns,
            count: u32::from_le_bytes([c0, c1, c2, 0]),
        }
    }

    /// All of it as one word.
    pub fn pack(self) -> u64 {
        let [c0, c1, c2, _] = self.count.to_le_bytes();
        let [r0, r1, r2, r3] = self.reader.to_le_bytes();
        u64::from_le_bytes([self.turns, c0, c1, c2, r0, r1, r2, r3])
    }

    /// The thread that asked last; 0: nobody yet.
    pub fn reader(self) -> u32 {
        self.reader
    }

    /// After one more request.
    pub fn and(self, reader: u32) -> Recent {
        let turns = match reader == self.reader {
            true => self.turns.saturating_sub(1),
            false => self.turns.saturating_add(Recent::CHANGE).min(Recent::MOST),
        };
        Recent {
            reader,
            turns,
            count: self.count.wrapping_add(1),
        }
    }

    /// Whether nobody else has asked lately.
    pub fn is_alone(self) -> bool {
        self.turns < Recent::FEW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(readers: impl IntoIterator<Item = u32>) -> Recent {
        let next = |recent: Recent, reader| Recent::unpack(recent.and(reader).pack());
        readers.into_iter().fold(Recent::default(), next)
    }

    #[test]
    fn readers_that_come_one_after_the_other_are_alone() {
        assert!(after([7]).is_alone());
        assert!(after((1..20).flat_map(|reader| [reader; 20])).is_alone());
    }

    #[test]
    fn readers_that_take_turns_are_not_alone_until_one_stays() {
        assert!(!after([1, 2, 1, 2]).is_alone());
        let turns = [1, 2].into_iter().cycle().take(1000);
        assert!(!after(turns.clone().chain([1; 33])).is_alone());
        assert!(after(turns.chain([1; 34])).is_alone());
    }

    #[test]
    fn every_request_changes_the_word() {
        let mut last = after([u32::MAX; 100]);
        for _ in 0..1000 {
            let next = Recent::unpack(last.and(u32::MAX).pack());
            assert_ne!(next.pack(), last.pack());
            last = next;
        }
        assert_eq!(last.reader, u32::MAX);
    }
}
