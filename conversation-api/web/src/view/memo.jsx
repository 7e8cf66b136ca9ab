import { Component } from "preact";

const differ = (a, b) => Object.keys(a).length !== Object.keys(b).length || Object.keys(a).some((key) => !Object.is(a[key], b[key]));

/** A component that is drawn anew only when something that it is given is another. */
export function memo(Inner) {
  return class Memo extends Component {
    shouldComponentUpdate(next) {
      return differ(this.props, next);
    }

    render(props) {
      return <Inner {...props} />;
    }
  };
}
