-- What a Skype client once sent; the captured id and the bytes behind the checksum's start are nonces of ours.
return {
  { sig = "skype", wire = "924002a16665ea0d8c82c30c27cdc5e74e78fea150a6", from = "the students' capture of 2009, their probe" },
}
