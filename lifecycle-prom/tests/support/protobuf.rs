//! A native histogram as exporters write it: `io.prometheus.client.MetricFamily`, delimited. The numbers of the fields are those of
//! <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>.

/// What Prometheus has to be told that it is.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// A histogram of this name and schema, with so many in each of these buckets, rising.
pub fn histogram(name: &str, schema: i64, buckets: &[(i64, u64)]) -> Vec<u8> {
    let count = buckets.iter().map(|(_, count)| count).sum();
    let mut histogram = Message::default();
    // sample_count, sample_sum, schema, zero_threshold, zero_count
    histogram.varint(1, count).double(2, 1.0).signed(5, schema).double(6, 1e-9).varint(7, 0);
    let mut next = None;
    for (number, _) in buckets {
        // a span of one bucket: how far it is from the end of the one before
        let mut span = Message::default();
        span.signed(1, number - next.unwrap_or(0)).varint(2, 1);
        histogram.message(12, &span);
        next = Some(number + 1);
    }
    let mut before = 0;
    for (_, count) in buckets {
        let count = i64::try_from(*count).unwrap();
        histogram.signed(13, count - before);
        before = count;
    }
    let (mut metric, mut family) = (Message::default(), Message::default());
    metric.message(7, &histogram);
    // name, help, type: a histogram
    family.bytes(1, name.as_bytes()).bytes(2, b"durations").varint(3, 4).message(4, &metric);
    let mut delimited = Message::default();
    delimited.number(family.0.len() as u64).0.extend(&family.0);
    delimited.0
}

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, mut number: u64) -> &mut Self {
        while number > 0x7f {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    fn varint(&mut self, field: u64, number: u64) -> &mut Self {
        self.number(field << 3).number(number)
    }

    fn signed(&mut self, field: u64, number: i64) -> &mut Self {
        self.varint(field, ((number << 1) ^ (number >> 63)) as u64)
    }

    fn double(&mut self, field: u64, number: f64) -> &mut Self {
        self.number(field << 3 | 1).0.extend(number.to_le_bytes());
        self
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.number(field << 3 | 2).number(bytes.len() as u64).0.extend(bytes);
        self
    }

    fn message(&mut self, field: u64, message: &Self) -> &mut Self {
        self.bytes(field, &message.0)
    }
}
