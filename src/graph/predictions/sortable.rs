//! Predictions as byte strings whose order is that of subject, relation, object, datatype, confidence and
//! corrected probability.

use super::Prediction;

/// Behind a text: less than what stands for a zero byte in it, so that the shorter text comes first.
const END: [u8; 2] = [0, 1];
/// Of a zero byte in a text.
const ZERO: [u8; 2] = [0, 0xff];

/// What [`prediction`] reads.
pub(super) fn bytes(of: &Prediction) -> Vec<u8> {
    let mut bytes = Vec::new();
    [&of.subject, &of.relation, &of.object].into_iter().for_each(|text| push(&mut bytes, text));
    bytes.push(u8::from(of.datatype.is_some()));
    of.datatype.iter().for_each(|datatype| push(&mut bytes, datatype));
    // Numbers from 0 on sort as their bits do.
    bytes.extend(of.confidence.to_bits().to_be_bytes());
    bytes.push(u8::from(of.corrected.is_some()));
    of.corrected.iter().for_each(|corrected| bytes.extend(corrected.to_bits().to_be_bytes()));
    bytes
}

fn push(bytes: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            0 => bytes.extend(ZERO),
            byte => bytes.push(byte),
        }
    }
    bytes.extend(END);
}

/// The prediction of which these are the [`bytes`].
pub(super) fn prediction(bytes: &[u8]) -> Prediction {
    let mut rest = bytes.iter().copied();
    let [subject, relation, object] = std::array::from_fn(|_| text(&mut rest));
    Prediction {
        subject,
        relation,
        object,
        datatype: (rest.next() == Some(1)).then(|| text(&mut rest)),
        confidence: number(&mut rest),
        corrected: (rest.next() == Some(1)).then(|| number(&mut rest)),
    }
}

fn text(bytes: &mut impl Iterator<Item = u8>) -> String {
    let mut text = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            0 if bytes.next() == Some(END[1]) => break,
            byte => text.push(byte),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn number(bytes: &mut impl Iterator<Item = u8>) -> f64 {
    f64::from_bits(u64::from_be_bytes(std::array::from_fn(|_| bytes.next().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any() -> impl Strategy<Value = Prediction> {
        let text = "[a\u{0}é]{0,3}";
        let number = prop::sample::select(vec![0.0, 1e-300, 0.25, 1.0]);
        let numbers = (number.clone(), prop::option::of(number));
        let all = (text, text, text, prop::option::of(text), numbers);
        all.prop_map(|(subject, relation, object, datatype, (confidence, corrected))| Prediction {
            subject,
            relation,
            object,
            datatype,
            confidence,
            corrected,
        })
    }

    proptest! {
        #[test]
        fn bytes_sort_as_predictions_do_and_are_read_back(one in any(), other in any()) {
            prop_assert_eq!(&prediction(&bytes(&one)), &one);
            let key = |of: &Prediction| {
                let Prediction { subject, relation, object, datatype, .. } = of.clone();
                (subject, relation, object, datatype)
            };
            let numbers = |of: &Prediction| (of.confidence, of.corrected);
            let expected = key(&one)
                .cmp(&key(&other))
                .then(numbers(&one).partial_cmp(&numbers(&other)).unwrap());
            prop_assert_eq!(bytes(&one).cmp(&bytes(&other)), expected);
        }
    }
}
