//go:build ignore

// This program copies openapi.yaml and numbers the members of its schemas (x-order), since the generator would sort them
// by name otherwise, and answers would begin with "address" and end with "version". It is run by go generate.
package main

import (
	"log"
	"os"
	"strconv"

	"go.yaml.in/yaml/v3"
)

func main() {
	source, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(source, &document); err != nil {
		log.Fatal(err)
	}
	number(member(member(document.Content[0], "components"), "schemas"))
	numbered, err := yaml.Marshal(&document)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[2], numbered, 0o600); err != nil {
		log.Fatal(err)
	}
}

// number goes through a tree and numbers the members of every "properties".
func number(node *yaml.Node) {
	for i := 1; i < len(node.Content); i += 2 {
		name, value := node.Content[i-1].Value, node.Content[i]
		if node.Kind == yaml.MappingNode && name == "properties" && value.Kind == yaml.MappingNode {
			for place := 1; place < len(value.Content); place += 2 {
				property := value.Content[place]
				property.Content = append(property.Content,
					&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "x-order"},
					&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(place)})
			}
		}
		if node.Kind == yaml.MappingNode {
			number(value)
		}
	}
}

func member(node *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	log.Fatalf("no member %s", name)
	return nil
}
