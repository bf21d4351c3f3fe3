//! Mutations of stored inputs: bytes flipped, removed, duplicated, exchanged with another input, tokens inserted.

/// A seeded source of changes: the same seed gives the same input on every machine.
pub struct Mutator {
    state: u64,
    words: &'static [&'static str],
}

/// No input grows beyond this.
const BYTES_MAX: usize = 64 * 1024;

impl Mutator {
    pub fn new(seed: u64, words: &'static [&'static str]) -> Mutator {
        Mutator { state: seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, words }
    }

    fn number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// From 0 up to, and without, `limit`; 0 where that is 0.
    fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }

    /// A range of a few bytes, sometimes of many.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let first = self.below(length);
        let longest = if self.below(8) == 0 { length } else { 32 };
        let count = self.below(longest.min(length - first) + 1);
        first..first + count
    }

    /// One of the inputs, changed in a few places.
    pub fn change(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = inputs[self.below(inputs.len())].clone();
        for _ in 0..1 + self.below(6) {
            self.change_once(&mut input, inputs);
            input.truncate(BYTES_MAX);
        }
        input
    }

    fn change_once(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.number() as u8,
            2 => {
                let range = self.range(input.len());
                input.drain(range);
            }
            3 => {
                let range = self.range(input.len());
                let copy = input[range].to_vec();
                input.splice(at..at, copy);
            }
            4 => {
                let other = &inputs[self.below(inputs.len())];
                let range = self.range(other.len());
                input.splice(at..at, other[range].iter().copied());
            }
            5 => input.truncate(at),
            _ => {
                let word = self.words[self.below(self.words.len())];
                input.splice(at..at, word.bytes());
            }
        }
    }
}
