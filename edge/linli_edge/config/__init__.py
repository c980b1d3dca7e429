"""A gateway's configuration: TOML tables read strictly, every mistake named with its place and its remedy."""
