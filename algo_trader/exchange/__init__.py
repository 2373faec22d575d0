"""An exchange that speaks Alpaca's protocol on loopback, over the venue and recorded bars."""
