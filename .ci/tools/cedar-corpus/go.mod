// Cedar's own integration tests come with this module. Nothing of it is built.
module holdfast.invalid/tools/cedar-corpus

go 1.26.0

require github.com/cedar-policy/cedar-go v1.9.0
