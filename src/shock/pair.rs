//! What both models have of the same kind.

/// Something of the finetuned model, and the same of the base model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair<T> {
    /// The finetuned model's.
    pub finetuned: T,
    /// The base model's.
    pub base: T,
}

impl<T> Pair<T> {
    /// What `of` makes of each, the finetuned model's first.
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> Pair<U> {
        Pair { finetuned: of(self.finetuned), base: of(self.base) }
    }
}
