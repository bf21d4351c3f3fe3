//! Plain Rust, also compiled for the vector instructions of each path: the same operations in the same order.

use crate::path::{Kind, Path};

/// Something to be done with the vector instructions of a path.
///
/// A trait instead of a closure, because only a named function can be marked for inlining, and only code inlined into a
/// function for certain instructions uses them.
pub(crate) trait Work {
    type Out;
    /// To be marked `#[inline(always)]`.
    fn run(self) -> Self::Out;
}

/// Does `work` with the vector instructions of a path. Rust fuses and reorders no float operation, so the bits are the same.
#[inline(always)]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "the call of a function for a certain processor"))]
pub(crate) fn with<W: Work>(path: Path, work: W) -> W::Out {
    match path.0 {
        Kind::Portable => work.run(),
        // SAFETY: a `Path` of this kind is created only after the processor has reported `avx2`, the only feature that
        // the function needs beyond the build's own.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { avx2(work) },
        // SAFETY: as above, with `avx512f`.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Vnni => unsafe { avx512(work) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => unreachable!("no such path is created on this architecture"),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<W: Work>(work: W) -> W::Out {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512<W: Work>(work: W) -> W::Out {
    work.run()
}
