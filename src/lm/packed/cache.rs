//! Keys and values of tokens that were computed, in slots that a packed graph reads.

/// By layer, first keys and then values, one slot after the other.
pub(super) struct KeyValueCache {
    layers: Vec<[Vec<f32>; 2]>,
    /// Numbers of a slot.
    size: usize,
}

impl KeyValueCache {
    /// An empty cache; a token's keys of one layer are `size` numbers.
    pub(super) fn new(layers: usize, size: usize) -> Self {
        Self { layers: vec![[Vec::new(), Vec::new()]; layers], size }
    }

    /// How many slots are filled.
    pub(super) fn slots(&self) -> usize {
        self.layers.first().map_or(0, |[keys, _]| keys.len() / self.size)
    }

    /// Bytes of all slots together.
    pub(super) fn bytes(&self) -> usize {
        self.slots() * self.size * 2 * self.layers.len() * size_of::<f32>()
    }

    /// Forgets all slots but the first `slots`.
    pub(super) fn truncate(&mut self, slots: usize) {
        self.layers.iter_mut().flatten().for_each(|values| values.truncate(slots * self.size));
    }

    /// Numbers of a slot.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many layers it has.
    pub(super) fn layers(&self) -> usize {
        self.layers.len()
    }

    /// A layer's keys (0) or values (1).
    pub(super) fn values(&self, layer: usize, which: usize) -> &[f32] {
        &self.layers[layer][which]
    }

    /// Adds slots to a layer's keys (0) or values (1).
    pub(super) fn extend(&mut self, layer: usize, which: usize, values: &[f32]) {
        self.layers[layer][which].extend_from_slice(values);
    }
}
